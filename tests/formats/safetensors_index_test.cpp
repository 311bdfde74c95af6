#include "formats/safetensors_index.hpp"

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;

TEST_CASE("safetensors index: tensors and their files", "[unit][formats]") {
  const auto map = parse_safetensors_index(
      R"({"metadata": {"total_size": 12},
          "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})",
      "index");
  CHECK(map.size() == 2);
  CHECK(map.at("b") == "model-00002-of-00002.safetensors");
}

TEST_CASE("safetensors index: file names must stay inside of the folder", "[unit][formats]") {
  const std::string file = GENERATE(
      "../other.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "a\\\\x.safetensors",
      "model.bin", ".safetensors", "c:x.safetensors", "..safetensors", "x\\u0000.safetensors");
  INFO(file);
  CHECK_THROWS_AS(parse_safetensors_index(R"({"weight_map": {"a": ")" + file + "\"}}", "index"),
                  DataError);
}

TEST_CASE("safetensors index: other forms are refused", "[unit][formats]") {
  const char* bad = GENERATE("{}", R"({"weight_map": []})", R"({"weight_map": {}})",
                             R"({"weight_map": {"a": 1}})",
                             R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})");
  CHECK_THROWS_AS(parse_safetensors_index(bad, "index"), DataError);
}
