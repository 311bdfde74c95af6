#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

/// Golden files, fetched models and temporary folders for tests.
namespace plumb::test {

/// A golden file: in $PLUMB_GOLDENS if that is set, else in tests/golden/.
inline std::filesystem::path golden_path(const std::string& name) {
  const char* folder = std::getenv("PLUMB_GOLDENS");
  return (folder != nullptr ? std::filesystem::path(folder)
                            : std::filesystem::path(PLUMB_SOURCE_DIR) / "tests/golden") /
         name;
}

inline nlohmann::json golden(const std::string& name) {
  std::ifstream in(golden_path(name));
  if (!in) throw std::runtime_error("golden file missing: " + golden_path(name).string());
  return nlohmann::json::parse(in);
}

/// A float that may be written as "inf", "-inf" or "nan".
inline double number(const nlohmann::json& value) {
  return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
}

inline std::filesystem::path model_path(const std::string& name) {
  return std::filesystem::path(PLUMB_SOURCE_DIR) / "models" / name;
}

/// A folder that goes away with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "plumb-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace plumb::test
