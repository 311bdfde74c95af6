#include "core/log.hpp"

#include <sstream>

#include "core/error.hpp"
#include "core/files.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

TEST_CASE("log: every line of the JSON file is an object with time, level and message",
          "[core][unit]") {
  const test::TempDir folder;
  log::set_quiet(true);
  log::set_json_file(folder / "log.jsonl");
  log::info("a \"quoted\" word, a newline\n and a broken byte \xFF");
  log::warn("second");
  std::istringstream lines(read_file(folder / "log.jsonl"));
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  CHECK(first["level"] == "info");
  CHECK(first["message"] == "a \"quoted\" word, a newline\n and a broken byte \xEF\xBF\xBD");
  CHECK(first["time"].get<std::string>().size() == std::string("2026-01-31T23:59:59.123Z").size());
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line)["message"] == "second");
  CHECK_THROWS_AS(log::set_json_file(folder / "no" / "log.jsonl"), DataError);
}

}  // namespace
}  // namespace plumb
