#include "formats/safetensors_header.hpp"

#include <cmath>
#include <cstring>

#include "core/error.hpp"
#include "core/files.hpp"
#include "formats/gguf_dequantize.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::span<const std::byte> bytes_of_text(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

template <class T>
double number_at(const std::byte* data, std::size_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

double value_at(const SafetensorsTensor& tensor, const std::byte* data, std::size_t index) {
  float half = 0;
  switch (tensor.dtype) {
    case SafetensorsDtype::kBool:
    case SafetensorsDtype::kU8:
      return number_at<std::uint8_t>(data, index);
    case SafetensorsDtype::kI8:
      return number_at<std::int8_t>(data, index);
    case SafetensorsDtype::kI16:
      return number_at<std::int16_t>(data, index);
    case SafetensorsDtype::kI32:
      return number_at<std::int32_t>(data, index);
    case SafetensorsDtype::kI64:
      return number_at<std::int64_t>(data, index);
    case SafetensorsDtype::kF32:
      return number_at<float>(data, index);
    case SafetensorsDtype::kF64:
      return number_at<double>(data, index);
    case SafetensorsDtype::kF16:
      dequantize(GgmlType::kF16, data + 2 * index, 1, &half);
      break;
    case SafetensorsDtype::kBF16:
      dequantize(GgmlType::kBF16, data + 2 * index, 1, &half);
      break;
  }
  return half;
}

const char* torch_name(SafetensorsDtype dtype) {
  constexpr const char* kNames[] = {"bool",     "uint8", "int8",    "int16",   "float16",
                                    "bfloat16", "int32", "float32", "float64", "int64"};
  return kNames[static_cast<int>(dtype)];
}

void check_values(const nlohmann::json& expected, const SafetensorsTensor& tensor,
                  const std::byte* data) {
  CHECK(torch_name(tensor.dtype) == expected["dtype"].get<std::string>());
  CHECK(tensor.shape == expected["shape"].get<std::vector<std::int64_t>>());
  const auto& values = expected["values"];
  REQUIRE(tensor.end - tensor.begin == values.size() * bytes_of(tensor.dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double got = value_at(tensor, data + tensor.begin, i);
    const double want = values[i].is_boolean() ? values[i].get<bool>() : test::number(values[i]);
    CHECK((got == want || (std::isnan(got) && std::isnan(want))));
  }
}

}  // namespace

TEST_CASE("safetensors: every valid golden file is read with its values",
          "[unit][golden][formats]") {
  const auto index = test::golden("safetensors_valid/index.json");
  REQUIRE(index["files"].size() > 10);
  for (const auto& expected : index["files"]) {
    const std::string name = expected["file"];
    INFO(name);
    const MappedFile file(test::golden_path("safetensors_valid/" + name));
    CHECK(file.size() == expected["bytes"]);
    CHECK(expected["library"] == "accept");
    const auto header = parse_safetensors_header({file.data(), file.size()}, name);
    CHECK(header.tensors.size() == expected["tensors"].size());
    const auto metadata = expected["metadata"].is_null()
                              ? std::map<std::string, std::string>{}
                              : expected["metadata"].get<std::map<std::string, std::string>>();
    CHECK(header.metadata == metadata);
    for (const auto& tensor : expected["tensors"]) {
      const auto found = std::find_if(header.tensors.begin(), header.tensors.end(),
                                      [&](const auto& t) { return t.name == tensor["name"]; });
      REQUIRE(found != header.tensors.end());
      check_values(tensor, *found, file.data() + header.data_begin);
    }
  }
}

TEST_CASE("safetensors: every bad golden file is refused", "[unit][golden][formats]") {
  const auto index = test::golden("safetensors_bad/index.json");
  REQUIRE(index["files"].size() > 50);
  for (const auto& expected : index["files"]) {
    const std::string name = expected["file"];
    INFO(name);
    const std::string file = read_file(test::golden_path("safetensors_bad/" + name));
    CHECK(file.size() == expected["bytes"]);
    // We refuse more than the library: where it reads a file, the description of the format forbids
    // it, and the index says which sentence.
    const bool only_ours = expected["library"] == "accept";
    CHECK((only_ours || expected["library"] == "reject"));
    CHECK(expected.contains("format_text") == only_ours);
    CHECK(expected.contains("tensors") == only_ours);
    CHECK(expected.contains("message") == !only_ours);
    CHECK_THROWS_AS(parse_safetensors_header(bytes_of_text(file), name), DataError);
    CHECK_THROWS_WITH(parse_safetensors_header(bytes_of_text(file), name), Catch::Contains(name));
  }
}

TEST_CASE("safetensors: a written header equals the reference library's",
          "[unit][golden][formats]") {
  // mixed_dtypes.safetensors was written by the library: order by dtype, then name; padded to a
  // multiple of 8.
  for (const char* name : {"mixed_dtypes", "f32", "bf16", "empty_tensor", "zero_dim", "i64"}) {
    INFO(name);
    const std::string path = cat("safetensors_valid/", name, ".safetensors");
    const std::string file = read_file(test::golden_path(path));
    auto header = parse_safetensors_header(bytes_of_text(file), name);
    std::reverse(header.tensors.begin(), header.tensors.end());
    CHECK(make_safetensors_header(header.tensors, header.metadata) ==
          file.substr(0, header.data_begin));
  }
}

TEST_CASE("safetensors: own limits", "[unit][formats]") {
  const auto file_with = [](const std::string& json, std::size_t data_bytes) {
    std::string file(8, '\0');
    for (int i = 0; i < 8; ++i)
      file[static_cast<std::size_t>(i)] = static_cast<char>(json.size() >> (8 * i));
    return file + json + std::string(data_bytes, 'x');
  };
  const auto parse = [](const std::string& file) {
    return parse_safetensors_header(bytes_of_text(file), "f");
  };
  const auto tensor = [](const std::string& shape, int bytes) {
    return R"({"dtype":"U8","shape":)" + shape + cat(R"(,"data_offsets":[0,)", bytes, "]}");
  };
  CHECK(parse(file_with(R"({"w":)" + tensor("[1,1,1,1,1,1,1,4]", 4) + "}", 4)).tensors.size() == 1);
  CHECK_THROWS_WITH(parse(file_with(R"({"w":)" + tensor("[1,1,1,1,1,1,1,1,4]", 4) + "}", 4)),
                    Catch::Contains("more than 8 dimensions"));
  const std::string long_name(1025, 'n');
  CHECK_THROWS_WITH(parse(file_with("{\"" + long_name + "\":" + tensor("[4]", 4) + "}", 4)),
                    Catch::Contains("1024 bytes"));
  CHECK_THROWS_WITH(
      parse(file_with(R"({"w":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", 4)),
      Catch::Contains("F8_E4M3") && Catch::Contains("BF16"));
}
