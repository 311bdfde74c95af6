#include <cstdlib>

#include "core/error.hpp"
#include "model/checkpoint.hpp"
#include "model/model_files.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
namespace fs = std::filesystem;

namespace {

/// Sets an environment variable for the time of a test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Environment() { old_.empty() ? ::unsetenv(name_) : ::setenv(name_, old_.c_str(), 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::string old_;
};

void put(const fs::path& file, const std::string& text = "") {
  fs::create_directories(file.parent_path());
  test::write_text(file, text);
}

}  // namespace

TEST_CASE("resolve: folders and files", "[unit][model_files]") {
  const test::TempDir folder;
  put(folder / "hf/config.json");
  put(folder / "hf/model.safetensors");
  put(folder / "one/a.gguf");
  put(folder / "two/a.gguf");
  put(folder / "two/b.gguf");
  put(folder / "empty/readme");
  CHECK(resolve_model((folder / "hf").string()) == folder / "hf");
  CHECK(resolve_model((folder / "one").string()) == folder / "one/a.gguf");
  CHECK(resolve_model((folder / "one/a.gguf").string()) == folder / "one/a.gguf");
  CHECK_THROWS_WITH(resolve_model((folder / "two").string()), Catch::Contains("a.gguf, b.gguf"));
  CHECK_THROWS_WITH(resolve_model((folder / "empty").string()),
                    Catch::Contains("no model.safetensors"));
  CHECK_THROWS_WITH(resolve_model((folder / "hf/config.json").string()),
                    Catch::Contains("not a .gguf"));
  CHECK_THROWS_AS(resolve_model(""), DataError);
}

TEST_CASE("resolve: a missing part of a path is named, with the nearest name",
          "[unit][model_files]") {
  const test::TempDir folder;
  put(folder / "policies/iter-01/model.safetensors");
  CHECK_THROWS_WITH(resolve_model((folder / "policies/iter-02").string()),
                    Catch::Contains("has no 'iter-02'") && Catch::Contains("iter-01"));
  CHECK_THROWS_WITH(resolve_model((folder / "policy/iter-01").string()),
                    Catch::Contains("has no 'policy'"));
}

TEST_CASE("resolve: the Hugging Face cache", "[unit][model_files]") {
  const test::TempDir cache;
  const Environment hub("HF_HUB_CACHE", cache.path().string());
  const fs::path repository = cache / "models--org--name";
  CHECK_THROWS_WITH(resolve_model("org/name"), Catch::Contains("hf download org/name") &&
                                                   Catch::Contains("models--org--name"));
  put(repository / "snapshots/abc123/model.safetensors");
  put(repository / "snapshots/def456/model.safetensors");
  CHECK_THROWS_AS(resolve_model("org/name"), DataError);  // two snapshots and no refs/main
  put(repository / "refs/main", "def456\n");
  CHECK(resolve_model("org/name") == repository / "snapshots/def456");
  put(repository / "refs/main", "../../evil");
  CHECK_THROWS_AS(resolve_model("org/name"), DataError);
  put(cache / "models--solo/snapshots/abc/x.gguf");
  CHECK(resolve_model("solo") == cache / "models--solo/snapshots/abc/x.gguf");
  for (const char* odd : {"../x", "/no/such", "a/b/c", "./x", "a b"}) {
    CHECK_THROWS_WITH(resolve_model(odd), !Catch::Contains("hf download"));
  }
}

TEST_CASE("resolve: HF_HOME is the second choice", "[unit][model_files]") {
  const test::TempDir home;
  const Environment hub("HF_HUB_CACHE", ""), old_hub("HUGGINGFACE_HUB_CACHE", "");
  const Environment hf_home("HF_HOME", home.path().string());
  put(home / "hub/models--org--name/snapshots/abc/model.safetensors");
  CHECK(resolve_model("org/name") == home / "hub/models--org--name/snapshots/abc");
}
