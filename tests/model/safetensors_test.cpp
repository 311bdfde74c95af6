#include "model/safetensors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "model/model_files.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

TEST_CASE("safetensors: golden files as tensors", "[unit][golden][model_files]") {
  const std::map<std::string, at::ScalarType> types{
      {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}, {"float32", at::kFloat},
      {"float64", at::kDouble},    {"int64", at::kLong},   {"int32", at::kInt},
      {"int16", at::kShort},       {"int8", at::kChar},    {"uint8", at::kByte},
      {"bool", at::kBool}};
  const auto golden = test::golden("safetensors_valid/index.json");
  for (const auto& file : golden["files"]) {
    INFO(file["file"]);
    const auto tensors =
        read_safetensors(test::golden_path("safetensors_valid/" + file["file"].get<std::string>()));
    CHECK(tensors.size() == file["tensors"].size());
    for (const auto& expected : file["tensors"]) {
      const at::Tensor& tensor = tensors.at(expected["name"]);
      CHECK(tensor.scalar_type() == types.at(expected["dtype"]));
      CHECK(tensor.sizes().vec() == expected["shape"].get<std::vector<std::int64_t>>());
      if (tensor.numel() == 0) continue;
      const at::Tensor flat = tensor.reshape({-1});
      if (tensor.scalar_type() == at::kLong) {
        CHECK(flat[0].item<std::int64_t>() == expected["values"][0].get<std::int64_t>());
      } else if (tensor.scalar_type() != at::kBool && !expected["values"].back().is_string()) {
        CHECK(flat[-1].item<double>() == expected["values"].back().get<double>());
      }
    }
  }
}

TEST_CASE("safetensors: write and read back", "[unit][model_files]") {
  const test::TempDir folder;
  const auto file = folder / "model.safetensors";
  const TensorMap tensors{
      {"b.weight", at::randn({3, 5}).t()}, {"a.bias", at::randn({7})}, {"scalar", at::ones({})}};
  const std::string hash = write_safetensors(file, tensors, at::kFloat);
  CHECK(hash == sha256_hex_of_file(file));
  CHECK_FALSE(std::filesystem::exists(folder / "model.safetensors.part"));
  const TensorMap back = read_safetensors(file);
  REQUIRE(back.size() == 3);
  for (const auto& [name, tensor] : tensors) CHECK(at::equal(back.at(name), tensor));
  CHECK(read_file(file).find(R"("__metadata__":{"format":"pt"})") != std::string::npos);

  write_safetensors(file, tensors, at::kBFloat16);
  CHECK(at::equal(read_safetensors(file).at("a.bias"), tensors.at("a.bias").to(at::kBFloat16)));
}

TEST_CASE("safetensors: the bytes are those the reference library writes",
          "[unit][golden][model_files]") {
  // f32.safetensors has no metadata, ours has: compare the data sections.
  const auto path = test::golden_path("safetensors_valid/f32.safetensors");
  const test::TempDir folder;
  write_safetensors(folder / "x.safetensors", read_safetensors(path), at::kFloat);
  const std::string ours = read_file(folder / "x.safetensors"), theirs = read_file(path);
  CHECK(ours.substr(ours.size() - 64) == theirs.substr(theirs.size() - 64));  // 4 + 12 floats
}

TEST_CASE("safetensors: shards", "[unit][model_files]") {
  const test::TempDir folder;
  const auto index = [&](const std::string& map) {
    test::write_text(folder / "model.safetensors.index.json", R"({"weight_map": {)" + map + "}}");
  };
  write_safetensors(folder / "one.safetensors", {{"a", at::ones({2})}}, at::kFloat);
  write_safetensors(folder / "two.safetensors", {{"b", at::ones({3})}, {"c", at::ones({4})}},
                    at::kFloat);
  index(R"("a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors")");
  const TensorMap all = read_safetensors_folder(folder.path());
  CHECK(all.size() == 3);
  CHECK(all.at("c").numel() == 4);

  index(R"("a": "two.safetensors", "b": "two.safetensors")");
  CHECK_THROWS_WITH(read_safetensors_folder(folder.path()), Catch::Contains("\"a\" is missing"));
  index(R"("a": "three.safetensors")");
  CHECK_THROWS_WITH(read_safetensors_folder(folder.path()), Catch::Contains("three.safetensors"));
  index(R"("a": "one.safetensors", "b": "two.safetensors")");
  write_safetensors(folder / "two.safetensors", {{"a", at::ones({2})}, {"b", at::ones({3})}},
                    at::kFloat);
  CHECK_THROWS_WITH(read_safetensors_folder(folder.path()), Catch::Contains("another shard"));
}

TEST_CASE("safetensors: a folder without weights", "[unit][model_files]") {
  const test::TempDir folder;
  CHECK_THROWS_WITH(read_safetensors_folder(folder.path()), Catch::Contains("model.safetensors"));
  test::write_text(folder / "pytorch_model.bin", "x");
  CHECK_THROWS_WITH(read_safetensors_folder(folder.path()), Catch::Contains("pickle"));
}

TEST_CASE("safetensors: a full disk leaves nothing behind", "[unit][model_files]") {
  if (!std::filesystem::exists("/dev/full")) return;
  const test::TempDir folder;
  std::filesystem::create_symlink("/dev/full", folder / "x.safetensors.part");
  CHECK_THROWS_AS(
      write_safetensors(folder / "x.safetensors", {{"a", at::ones({1 << 16})}}, at::kFloat),
      DataError);
  CHECK_FALSE(std::filesystem::exists(folder / "x.safetensors"));
}
