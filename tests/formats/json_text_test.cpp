#include "formats/json_text.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;
using nlohmann::json;

TEST_CASE("json: an object is read with its nested objects", "[unit][formats]") {
  // The same key may stand in several objects.
  const json parsed =
      parse_json_object(R"({"a": {"k": 1}, "b": {"k": 2}, "list": [{"k": 3}]})", "f");
  CHECK(parsed["a"]["k"] == 1);
  CHECK(parsed["b"]["k"] == 2);
  CHECK(parsed["list"][0]["k"] == 3);
}

TEST_CASE("json: what is refused, with the file's name", "[unit][formats]") {
  const char* bad =
      GENERATE(R"({"a": 1, "a": 2})", R"({"x": {"a": 1, "b": {}, "a": 2}})", "[1]", "7", "", "{",
               R"({"a": 1} x)", R"({"a": NaN})", "{\"a\": \"\xff\"}", R"({"a": "\ud800"})");
  INFO(bad);
  CHECK_THROWS_AS(parse_json_object(bad, "some.json"), DataError);
  CHECK_THROWS_WITH(parse_json_object(bad, "some.json"), Catch::Contains("some.json"));
}

TEST_CASE("json: nesting has a limit", "[unit][formats]") {
  const auto nested = [](int depth) {
    return R"({"a": )" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + "}";
  };
  CHECK_NOTHROW(parse_json_object(nested(60), "f"));
  CHECK_THROWS_WITH(parse_json_object(nested(100), "f"), Catch::Contains("nested deeper"));
  CHECK_THROWS_AS(parse_json_object(nested(1'000'000), "f"), DataError);
}

TEST_CASE("json: typed fields", "[unit][formats]") {
  const json object = parse_json_object(
      R"({"i": 7, "big": 18446744073709551615, "f": 1.5, "b": true, "s": "x", "none": null})", "f");
  CHECK(find_integer(object, "i", "f") == 7);
  CHECK(find_number(object, "i", "f") == 7.0);
  CHECK(find_number(object, "f", "f") == 1.5);
  CHECK(find_bool(object, "b", "f") == true);
  CHECK(find_string(object, "s", "f") == "x");
  CHECK_FALSE(find_integer(object, "none", "f").has_value());
  CHECK_FALSE(find_string(object, "absent", "f").has_value());
  CHECK_THROWS_AS(find_integer(object, "f", "f"), DataError);
  CHECK_THROWS_AS(find_integer(object, "big", "f"), DataError);
  CHECK_THROWS_AS(find_bool(object, "i", "f"), DataError);
  CHECK_THROWS_AS(find_string(object, "i", "f"), DataError);
  CHECK_THROWS_AS(find_number(object, "s", "f"), DataError);
  CHECK(need_integer(object, "i", 1, 7, "f") == 7);
  CHECK_THROWS_AS(need_integer(object, "i", 8, 9, "f"), DataError);
  CHECK_THROWS_AS(need_integer(object, "absent", 0, 9, "f"), DataError);
}
