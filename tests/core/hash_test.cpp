#include "core/hash.hpp"

#include <random>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/sha256_blocks.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

// Messages and digests of FIPS 180-4's examples (NIST "SHA256.pdf" and "SHA2_Additional.pdf") and
// of the empty message.
TEST_CASE("sha256: published vectors", "[core][unit]") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(sha256_hex(std::string(1, '\xBD')) ==
        "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
  CHECK(sha256_hex(std::string(55, '\0')) ==
        "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
  CHECK(sha256_hex(std::string(56, '\0')) ==
        "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
  CHECK(sha256_hex(std::string(64, '\0')) ==
        "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

TEST_CASE("sha256: the pieces that a message comes in do not matter", "[core][unit]") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{3}, std::size_t{63}, std::size_t{64}, std::size_t{65}}) {
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += step)
      hash.update(std::string_view(text).substr(at, step));
    CHECK(to_hex(hash.finish()) == sha256_hex(text));
  }
}

TEST_CASE("sha256: a file has the hash of its bytes", "[core][unit]") {
  const test::TempDir folder;
  const std::string text(3000000, 'x');  // more than one read buffer
  write_file_atomically(folder / "x", text);
  CHECK(sha256_hex_of_file(folder / "x") == sha256_hex(text));
  CHECK_THROWS_AS(sha256_hex_of_file(folder / "missing"), DataError);
}

TEST_CASE("text_hash63: the first 63 bits of SHA-256", "[core][unit]") {
  // 0xba7816bf8f01cfea >> 1 (first eight bytes of the digest of "abc" above).
  CHECK(text_hash63("abc") == 0x5d3c0b5fc780e7f5);
  CHECK(text_hash63("") >= 0);  // the digest begins with 0xe3: the sign bit must be gone
}

TEST_CASE("sha256: the instructions and the portable rounds give the same state", "[core][unit]") {
  const sha256_blocks::Compress instructions = sha256_blocks::with_instructions();
  if (instructions == nullptr) {
    WARN("skipped: this processor has no SHA instructions");
    return;
  }
  std::mt19937 random(20260101);
  for (std::size_t blocks = 0; blocks < 40; ++blocks) {
    std::vector<std::uint8_t> data(blocks * 64);
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
    sha256_blocks::State a{};
    for (std::uint32_t& word : a) word = random();
    sha256_blocks::State b = a;
    sha256_blocks::portable(a, data.data(), blocks);
    instructions(b, data.data(), blocks);
    CHECK(a == b);
  }
}

}  // namespace
}  // namespace plumb
