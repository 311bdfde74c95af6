#include <functional>
#include <random>

#include "core/error.hpp"
#include "core/files.hpp"
#include "formats/gguf_builder.hpp"
#include "formats/gguf_dequantize.hpp"
#include "formats/gguf_header.hpp"
#include "formats/safetensors_header.hpp"
#include "formats/safetensors_index.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::vector<std::byte> exact_copy(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};  // its own allocation: a sanitizer sees a read past its end
}

/// Reads everything a header announces, so that a wrong range is touched.
void read_safetensors(const std::string& text) {
  const auto file = exact_copy(text);
  const auto header = parse_safetensors_header(file, "f");
  std::uint64_t sum = 0;
  for (const auto& tensor : header.tensors) {
    for (std::size_t i = tensor.begin; i < tensor.end; ++i) {
      sum += std::to_integer<std::uint64_t>(file[header.data_begin + i]);
    }
  }
  CHECK(sum < ~std::uint64_t{0});
}

void read_gguf(const std::string& text) {
  const auto file = exact_copy(text);
  for (const GgufTensor& tensor : parse_gguf_header(file, "f").tensors) {
    std::vector<float> values(static_cast<std::size_t>(tensor.values));
    dequantize(tensor.type, file.data() + tensor.begin,
               values.size() / ggml_type_info(tensor.type).block_values, values.data());
  }
}

/// Whether `read` accepts the text; every complaint must be a DataError.
bool accepts(const std::function<void(const std::string&)>& read, const std::string& text) {
  try {
    read(text);
    return true;
  } catch (const DataError&) {
    return false;
  }
}

/// Changes 1 to 4 places: a bit, a byte, a number written over, a piece cut out or doubled.
std::string mutate(std::string text, std::mt19937& random) {
  const int changes = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < changes && !text.empty(); ++i) {
    const std::size_t at = random() % text.size();
    const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + random() % 9);
    switch (random() % 5) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
        break;
      case 1:
        text[at] = static_cast<char>(random());
        break;
      case 2:
        text.replace(at, size, size, "\xff\x00\x7f\x80"[random() % 4]);
        break;
      case 3:
        text.erase(at, size);
        break;
      default:
        text.insert(at, text.substr(at, size));
        break;
    }
  }
  return text;
}

std::string small_gguf() {
  test::GgufBuilder builder;
  builder.text("general.architecture", "llama").u32("llama.block_count", 2).boolean("b", true);
  builder.array<std::string>("tokens", 8, {"a", "bc", ""}).array<float>("scores", 6, {1, 2, 3});
  builder.tensor("w", {4, 2}, 0, std::string(32, '\2'))
      .tensor("q", {32, 2}, 3, std::string(40, '\3'));
  builder.tensor("k", {256}, 12, std::string(144, '\4'));
  return builder.file();
}

}  // namespace

TEST_CASE("hostile safetensors: every truncation is refused", "[unit][formats]") {
  for (const char* name : {"mixed_dtypes", "odd_names", "metadata"}) {
    const std::string file =
        read_file(test::golden_path(cat("safetensors_valid/", name, ".safetensors")));
    REQUIRE(accepts(read_safetensors, file));
    for (std::size_t size = 0; size < file.size(); ++size) {
      CHECK_FALSE(accepts(read_safetensors, file.substr(0, size)));
    }
  }
}

TEST_CASE("hostile gguf: every truncation is refused", "[unit][formats]") {
  const std::string file = small_gguf();
  REQUIRE(accepts(read_gguf, file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    CHECK_FALSE(accepts(read_gguf, file.substr(0, size)));
  }
}

TEST_CASE("hostile files: random mutations end in a value or a DataError", "[unit][formats]") {
  std::mt19937 random(20260101);
  const std::string tensors =
      read_file(test::golden_path("safetensors_valid/mixed_dtypes.safetensors"));
  const std::string gguf = small_gguf();
  const std::string index =
      R"({"metadata":{"total_size":1},"weight_map":{"a":"x.safetensors","b":"y.safetensors"}})";
  const auto read_index = [](const std::string& text) { parse_safetensors_index(text, "f"); };
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    accepted += accepts(read_safetensors, mutate(tensors, random));
    accepted += accepts(read_gguf, mutate(gguf, random));
    accepted += accepts(read_index, mutate(index, random));
  }
  CHECK(accepted > 100);  // mutated data, names and values are still legal files
  CHECK(accepted < 9000);
}

TEST_CASE("hostile gguf: announced counts are not believed", "[unit][formats]") {
  // Overwrites the two counts and every length of the header with huge numbers.
  const std::string file = small_gguf();
  for (std::size_t at = 8; at + 8 <= file.size(); ++at) {
    for (const std::uint64_t huge :
         {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 40}) {
      std::string changed = file;
      std::memcpy(changed.data() + at, &huge, sizeof(huge));
      accepts(read_gguf, changed);
    }
  }
  SUCCEED("no crash and no huge allocation");
}
