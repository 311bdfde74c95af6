#include "core/hash.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "core/error.hpp"
#include "core/sha256_blocks.hpp"

namespace plumb {
namespace {

void compress(sha256_blocks::State& state, const std::uint8_t* data, std::size_t blocks) {
  static const sha256_blocks::Compress chosen = sha256_blocks::fastest();
  chosen(state, data, blocks);
}

}  // namespace

Sha256& Sha256::update(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  total_ += size;
  while (size > 0) {
    if (filled_ == 0 && size >= 64) {
      const std::size_t blocks = size / 64;
      compress(state_, bytes, blocks);
      bytes += blocks * 64;
      size -= blocks * 64;
      continue;
    }
    const std::size_t take = std::min(size, 64 - filled_);
    std::memcpy(block_.data() + filled_, bytes, take);
    filled_ += take;
    bytes += take;
    size -= take;
    if (filled_ == 64) {
      compress(state_, block_.data(), 1);
      filled_ = 0;
    }
  }
  return *this;
}

Sha256::Digest Sha256::finish() {
  const std::uint64_t bits = total_ * 8;
  const std::uint8_t one = 0x80;
  update(&one, 1);
  const std::uint8_t zero = 0;
  while (filled_ != 56) {
    update(&zero, 1);
  }
  std::array<std::uint8_t, 8> length;
  for (int i = 0; i < 8; ++i) length[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
  update(length.data(), 8);
  Digest digest;
  for (int i = 0; i < 32; ++i) {
    digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

Sha256::Digest sha256(std::string_view text) { return Sha256().update(text).finish(); }

std::string to_hex(const Sha256::Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : digest) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string sha256_hex(std::string_view text) { return to_hex(sha256(text)); }

std::string sha256_hex_of_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw DataError(cat(file.string(), ": cannot be read"));
  Sha256 hash;
  std::string buffer(1 << 20, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    hash.update(buffer.data(), static_cast<std::size_t>(in.gcount()));
  }
  return to_hex(hash.finish());
}

std::int64_t text_hash63(std::string_view text) {
  const Sha256::Digest digest = sha256(text);
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | digest[static_cast<std::size_t>(i)];
  return static_cast<std::int64_t>(value >> 1);
}

}  // namespace plumb
