#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace plumb {

/// SHA-256 (FIPS 180-4), fed piece by piece.
class Sha256 {
 public:
  using Digest = std::array<std::uint8_t, 32>;
  Sha256& update(const void* data, std::size_t size);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  Digest finish();

 private:
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> block_{};
  std::size_t filled_ = 0;
  std::uint64_t total_ = 0;
};

Sha256::Digest sha256(std::string_view text);
/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view text);
/// Hash of a file's bytes. Throws DataError if it cannot be read.
std::string sha256_hex_of_file(const std::filesystem::path& file);
std::string to_hex(const Sha256::Digest& digest);
/// The first 63 bits of SHA-256: a non-negative SQLite integer.
std::int64_t text_hash63(std::string_view text);

}  // namespace plumb
