#include "formats/gguf_dequantize.hpp"

#include <cmath>
#include <set>

#include "core/error.hpp"
#include "core/files.hpp"
#include "formats/gguf_header.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

GgmlType type_named(const std::string& name) {
  for (const auto type : {GgmlType::kF32, GgmlType::kF16, GgmlType::kBF16, GgmlType::kQ4_0,
                          GgmlType::kQ4_1, GgmlType::kQ5_0, GgmlType::kQ5_1, GgmlType::kQ8_0,
                          GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K}) {
    if (ggml_type_info(type).name == name) return type;
  }
  throw std::runtime_error("type not known: " + name);
}

/// At most one unit in the last place apart (tests/golden/README.md).
bool same_float(float got, double want) {
  const auto wanted = static_cast<float>(want);
  return got == wanted || std::nextafter(got, wanted) == wanted;
}

std::vector<float> dequantize_text(GgmlType type, const std::string& bytes, std::size_t shift = 0) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  const std::string shifted = std::string(shift, '?') + bytes;
  std::vector<float> values(bytes.size() / info.block_bytes * info.block_values);
  dequantize(type, reinterpret_cast<const std::byte*>(shifted.data()) + shift,
             bytes.size() / info.block_bytes, values.data());
  return values;
}

}  // namespace

TEST_CASE("dequantize: golden blocks of every type", "[unit][golden][formats]") {
  std::set<std::string> types;
  const auto golden = test::golden("gguf_dequant.json");
  for (const auto& block : golden["blocks"]) {
    const std::string name = block["type"];
    INFO(name);
    types.insert(name);
    const std::string bytes = from_hex(block["bytes"]);
    const GgmlTypeInfo& info = ggml_type_info(type_named(name));
    CHECK(block["block_values"] == (info.block_values == 1 ? 16 : info.block_values));
    const auto values = dequantize_text(type_named(name), bytes);
    REQUIRE(values.size() == block["values"].size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      INFO(i << ": " << values[i]);
      CHECK(same_float(values[i], test::number(block["values"][i])));
    }
    CHECK(dequantize_text(type_named(name), bytes, 1) == values);  // any alignment
  }
  CHECK(types.size() == 10);
}

TEST_CASE("dequantize: blocks worked by hand", "[unit][formats]") {
  const std::string half_one("\x00\x3c", 2), half_two("\x00\x40", 2);  // 1.0 and 2.0
  // Q4_0: (nibble - 8) * 2, low nibbles first: 0x1f -> 15 and 1.
  const auto q4_0 = dequantize_text(GgmlType::kQ4_0, half_two + std::string(16, '\x1f'));
  CHECK(q4_0[0] == 14);
  CHECK(q4_0[16] == -14);
  // Q4_1: nibble * 2 + 1.
  const auto q4_1 = dequantize_text(GgmlType::kQ4_1, half_two + half_one + std::string(16, '\x1f'));
  CHECK(q4_1[15] == 31);
  CHECK(q4_1[31] == 3);
  // Q8_0: signed bytes.
  CHECK(dequantize_text(GgmlType::kQ8_0, half_two + std::string(32, '\xff'))[31] == -2);
  // Halves: smallest subnormal 2^-24, infinity.
  CHECK(dequantize_text(GgmlType::kF16, std::string("\x01\x00\x00\xfc", 4)) ==
        std::vector<float>{0x1p-24F, -INFINITY});
}

TEST_CASE("dequantize: header and values of the SmolLM2 file", "[model][golden][formats]") {
  const auto folder = test::model_path("smollm2-135m-instruct");
  const auto path = folder / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    WARN("skipped: " << path << " is not there (scripts/setup fetches it)");
    return;
  }
  const auto golden = test::golden("gguf_dequant.json");
  const MappedFile file(path);
  const GgufHeader header = parse_gguf_header({file.data(), file.size()}, path.string());
  CHECK(header.version == 3);
  CHECK(header.tensors.size() == golden["whole"]["tensor_count"]);
  std::int64_t parameters = 0;
  double sum = 0;
  std::map<std::string, std::int64_t> types;
  std::map<std::string, std::vector<float>> kept;
  std::map<std::string, const GgufTensor*> tensors;
  for (const GgufTensor& tensor : header.tensors) {
    parameters += tensor.values;
    ++types[std::string(ggml_type_info(tensor.type).name)];
    std::vector<float> values(static_cast<std::size_t>(tensor.values));
    dequantize(tensor.type, file.data() + tensor.begin,
               values.size() / ggml_type_info(tensor.type).block_values, values.data());
    for (const float value : values) sum += value;
    kept[tensor.name] = std::move(values);
    tensors[tensor.name] = &tensor;
  }
  CHECK(parameters == golden["whole"]["parameters"]);
  CHECK(types == golden["whole"]["types"].get<std::map<std::string, std::int64_t>>());
  CHECK_THAT(sum, Catch::WithinRel(golden["whole"]["sum_of_all"].get<double>(), 1e-6));
  for (const auto& expected : golden["tensors"]) {
    INFO(expected["name"]);
    const auto& values = kept.at(expected["name"]);
    const auto& numbers = expected["dequantized"];
    const GgufTensor& tensor = *tensors.at(expected["name"]);
    CHECK(ggml_type_info(tensor.type).name == expected["type"].get<std::string>());
    CHECK(tensor.shape == numbers["shape"].get<std::vector<std::int64_t>>());
    CHECK(std::vector(tensor.shape.rbegin(), tensor.shape.rend()) ==
          expected["gguf_dims"].get<std::vector<std::int64_t>>());
    double tensor_sum = 0, absolute = 0;
    for (const float value : values) {
      tensor_sum += value;
      absolute += std::abs(value);
    }
    CHECK_THAT(absolute, Catch::WithinRel(numbers["abs_sum"].get<double>(), 1e-6));
    CHECK_THAT(tensor_sum, Catch::WithinRel(numbers["sum"].get<double>(), 1e-6));
    for (std::size_t i = 0; i < numbers["indices"].size(); ++i) {
      CHECK(same_float(values[numbers["indices"][i].get<std::size_t>()], numbers["values"][i]));
    }
  }
}
