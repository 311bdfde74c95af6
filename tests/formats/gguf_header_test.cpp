#include "formats/gguf_header.hpp"

#include "core/error.hpp"
#include "formats/gguf_builder.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::GgufBuilder;

namespace {

GgufHeader parse(const std::string& file) {
  return parse_gguf_header({reinterpret_cast<const std::byte*>(file.data()), file.size()},
                           "m.gguf");
}

GgufBuilder small_file() {
  GgufBuilder builder;
  builder.text("general.architecture", "llama").u32("llama.block_count", 2);
  builder.tensor("a", {4, 2}, 0, test::float_bytes({0, 1, 2, 3, 4, 5, 6, 7}));
  builder.tensor("b", {32}, 2, std::string(18, '\1'));
  return builder;
}

}  // namespace

TEST_CASE("gguf: metadata of every type", "[unit][formats]") {
  GgufBuilder builder;
  builder.pair<std::uint8_t>("u8", 0, 255).pair<std::int8_t>("i8", 1, -1);
  builder.pair<std::uint16_t>("u16", 2, 65535)
      .pair<std::int16_t>("i16", 3, -2)
      .u32("u32", 4'000'000'000u);
  builder.pair<std::int32_t>("i32", 5, -3)
      .f32("f32", 0.5F)
      .boolean("yes", true)
      .text("s", "caf\xc3\xa9");
  builder.pair<std::uint64_t>("u64", 10, 1)
      .pair<std::int64_t>("i64", 11, -4)
      .pair<double>("f64", 12, 0.25);
  builder.array<std::string>("strings", 8, {"x", "", "y z"}).array<float>("floats", 6, {1.5F, -2});
  builder.array<std::int32_t>("ints", 5, {-7, 7}).array<std::uint8_t>("bools", 7, {0, 1});
  const GgufMetadata metadata = parse(builder.file()).metadata;
  CHECK(metadata.size() == 16);
  CHECK(metadata.integer("u8") == 255);
  CHECK(metadata.integer("i8") == -1);
  CHECK(metadata.integer("u16") == 65535);
  CHECK(metadata.integer("i16") == -2);
  CHECK(metadata.integer("u32") == 4'000'000'000);
  CHECK(metadata.integer("i32") == -3);
  CHECK(metadata.number("f32") == 0.5);
  CHECK(metadata.number("i32") == -3.0);
  CHECK(metadata.boolean("yes") == true);
  CHECK(metadata.text("s") == "caf\xc3\xa9");
  CHECK(metadata.integer("u64") == 1);
  CHECK(metadata.integer("i64") == -4);
  CHECK(metadata.number("f64") == 0.25);
  CHECK(*metadata.texts("strings") == std::vector<std::string>{"x", "", "y z"});
  CHECK(*metadata.numbers("floats") == std::vector<double>{1.5, -2});
  CHECK(*metadata.integers("ints") == std::vector<std::int64_t>{-7, 7});
  CHECK(*metadata.integers("bools") == std::vector<std::int64_t>{0, 1});
  CHECK_FALSE(metadata.integer("absent").has_value());
  CHECK(metadata.texts("absent") == nullptr);
  CHECK_THROWS_AS(metadata.integer("s"), DataError);
  CHECK_THROWS_AS(metadata.text("u8"), DataError);
  CHECK_THROWS_AS(metadata.need_integer("u8", 0, 10), DataError);
}

TEST_CASE("gguf: tensors and their places", "[unit][formats]") {
  const std::string file = small_file().file();
  const GgufHeader header = parse(file);
  REQUIRE(header.tensors.size() == 2);
  const GgufTensor& a = header.tensors[0];
  CHECK(a.name == "a");
  CHECK(a.shape ==
        std::vector<std::int64_t>{2, 4});  // the file's first dimension is the contiguous one
  CHECK(a.values == 8);
  CHECK(a.begin % 32 == 0);
  CHECK(file.substr(a.begin, a.bytes) == test::float_bytes({0, 1, 2, 3, 4, 5, 6, 7}));
  const GgufTensor& b = header.tensors[1];
  CHECK(b.type == GgmlType::kQ4_0);
  CHECK(file.substr(b.begin, b.bytes) == std::string(18, '\1'));
}

TEST_CASE("gguf: versions", "[unit][formats]") {
  CHECK_NOTHROW(parse(small_file().version(2).file()));
  CHECK_THROWS_WITH(parse(small_file().version(1).file()), Catch::Contains("version 1"));
  CHECK_THROWS_WITH(parse(small_file().version(4).file()), Catch::Contains("version 4"));
  CHECK_THROWS_WITH(parse(small_file().version(0x03000000).file()), Catch::Contains("big-endian"));
  CHECK_THROWS_WITH(parse("GGML" + std::string(40, '\0')), Catch::Contains("not a GGUF file"));
}

TEST_CASE("gguf: another alignment", "[unit][formats]") {
  GgufBuilder builder;
  builder.align(64).u32("general.alignment", 64);
  builder.tensor("a", {1}, 0, test::float_bytes({1})).tensor("b", {1}, 0, test::float_bytes({2}));
  const GgufHeader header = parse(builder.file());
  CHECK(header.tensors[1].begin - header.tensors[0].begin == 64);
  CHECK_THROWS_AS(parse(GgufBuilder().u32("general.alignment", 48).file()), DataError);
  CHECK_THROWS_AS(parse(GgufBuilder().u32("general.alignment", 0).file()), DataError);
}

TEST_CASE("gguf: what is refused in the metadata", "[unit][formats]") {
  CHECK_THROWS_WITH(parse(GgufBuilder().u32("k", 1).u32("k", 1).file()),
                    Catch::Contains("duplicate"));
  CHECK_THROWS_WITH(parse(GgufBuilder().pair<std::uint8_t>("k", 7, 2).file()),
                    Catch::Contains("boolean"));
  CHECK_THROWS_WITH(parse(GgufBuilder().pair<std::uint32_t>("k", 13, 2).file()),
                    Catch::Contains("type 13"));
  CHECK_THROWS_WITH(parse(GgufBuilder().pair<std::uint64_t>("k", 10, 1ull << 63).file()),
                    Catch::Contains("too large"));
  CHECK_THROWS_WITH(parse(GgufBuilder().array<std::uint32_t>("k", 9, {0}).file()),
                    Catch::Contains("arrays of arrays"));
  std::string huge_array;
  GgufBuilder::put_string(huge_array, "k");
  for (const std::uint32_t number : {9u, 0u}) GgufBuilder::put(huge_array, number);
  GgufBuilder::put<std::uint64_t>(huge_array, 1ull << 62);
  std::string file = GgufBuilder().file().substr(0, 16);
  GgufBuilder::put<std::uint64_t>(file, 1);
  CHECK_THROWS_WITH(parse(file + huge_array), Catch::Contains("more than the file can hold"));
}

TEST_CASE("gguf: what is refused in the tensors", "[unit][formats]") {
  const std::string four = test::float_bytes({1, 2, 3, 4});
  const auto one = [&](std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset) {
    return GgufBuilder().tensor_at("t", dims, type, offset, four).file();
  };
  CHECK_NOTHROW(parse(one({4}, 0, 0)));
  CHECK_THROWS_WITH(parse(one({5}, 0, 0)), Catch::Contains("past the end"));
  CHECK_THROWS_WITH(parse(one({4}, 0, 32)), Catch::Contains("past the end"));
  CHECK_THROWS_WITH(parse(one({4}, 0, ~std::uint64_t{31})), Catch::Contains("past the end"));
  CHECK_THROWS_WITH(parse(one({4}, 0, 4)), Catch::Contains("multiple of 32"));
  CHECK_THROWS_WITH(parse(one({}, 0, 0)), Catch::Contains("dimensions"));
  CHECK_THROWS_WITH(parse(one({1, 1, 1, 1, 4}, 0, 0)), Catch::Contains("dimensions"));
  CHECK_THROWS_WITH(parse(one({0}, 0, 0)), Catch::Contains("impossible dimension"));
  CHECK_THROWS_WITH(parse(one({1ull << 33, 1ull << 33}, 0, 0)),
                    Catch::Contains("impossible dimension"));
  CHECK_THROWS_WITH(parse(one({4}, 2, 0)), Catch::Contains("blocks of 32"));
  CHECK_THROWS_WITH(parse(one({256}, 10, 0)), Catch::Contains("Q2_K"));
  CHECK_THROWS_WITH(parse(one({4}, 77, 0)), Catch::Contains("number 77"));
  GgufBuilder twice;
  twice.tensor("t", {4}, 0, four).tensor("t", {4}, 0, four);
  CHECK_THROWS_WITH(parse(twice.file()), Catch::Contains("duplicate tensor"));
  GgufBuilder overlap;
  overlap.tensor_at("a", {16}, 0, 0, std::string(64, 'x')).tensor_at("b", {8}, 0, 32, "");
  CHECK_THROWS_WITH(parse(overlap.file()), Catch::Contains("overlap"));
  CHECK_THROWS_AS(parse(GgufBuilder().tensor(std::string(64, 'n'), {4}, 0, four).file()),
                  DataError);
}
