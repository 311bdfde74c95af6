#include "service/json_guard.hpp"

#include <nlohmann/json.hpp>

#include "service/body_fields.hpp"
#include "service/problem.hpp"

#include "support/catch.hpp"

using namespace plumb::service;

namespace {

std::string refusal(const std::string& body) {
  try {
    parse_body(body);
  } catch (const Problem& problem) {
    CHECK(problem.status() == 400);
    return problem.what();
  }
  return "";
}

std::string nested(std::size_t levels) {
  return "{\"a\":" + std::string(levels, '[') + std::string(levels, ']') + "}";
}

}  // namespace

TEST_CASE("a body reads as the JSON library reads it", "[service][unit]") {
  for (const char* text :
       {R"({})", R"({"a":[1,-2,3.5,true,null,"x",{"b":[[],{}]}],"c":{"d":{"e":[1,2]}},"f":"é€"})",
        R"({"a":18446744073709551615,"b":-9223372036854775808,"c":1e308})"})
    CHECK(parse_body(text) == nlohmann::json::parse(text));
}

TEST_CASE("hostile JSON is refused with its reason", "[service][unit]") {
  CHECK(refusal("").find("not valid JSON") != std::string::npos);
  CHECK(refusal("{\"a\":1").find("not valid JSON") != std::string::npos);
  CHECK(refusal("{\"a\":1}x").find("not valid JSON") != std::string::npos);
  CHECK(refusal("{\"a\":NaN}").find("not valid JSON") != std::string::npos);
  CHECK(refusal("{\"a\":1e999}").find("not valid JSON") != std::string::npos);
  CHECK(refusal("{\"a\":\"\xff\xfe\"}").find("UTF-8") != std::string::npos);
  CHECK(refusal("{\"a\":\"\xed\xa0\x80\"}").find("UTF-8") != std::string::npos);
  CHECK(refusal(R"({"a":"\ud800"})").find("not valid JSON") != std::string::npos);
  CHECK(refusal(R"([1])").find("expected an object") != std::string::npos);
  CHECK(refusal(R"({"query":[],"query":["x"]})").find("\"query\" twice") != std::string::npos);
  CHECK(refusal(R"({"a":{"b":1,"b":2}})").find("\"b\" twice") != std::string::npos);
  CHECK(refusal(nested(63)).empty());
  CHECK(refusal(nested(64)).find("deeper than 64") != std::string::npos);
  CHECK(refusal(nested(1'000'000)).find("deeper than 64") != std::string::npos);
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 1'000'001; ++i) many += ",0";
  CHECK(refusal(many + "]}").find("values") != std::string::npos);
}

TEST_CASE("a field of the wrong type is named with its place", "[service][unit]") {
  const nlohmann::json body = nlohmann::json::parse(
      R"({"n":1.5,"t":["a",2],"m":[{"role":"user"}],"ids":[1,99],"big":18446744073709551615})");
  const auto field_of = [](auto&& read) -> std::string {
    try {
      read();
    } catch (const Problem& problem) {
      return problem.field();
    }
    return "no problem";
  };
  CHECK(field_of([&] { integer_field(body, "n", 0, 0, 9); }) == "n");
  CHECK(field_of([&] { number_field(body, "n", 0, 2, 9); }) == "n");
  CHECK(field_of([&] { integer_field(body, "big", 0, 0, 9); }) == "big");
  CHECK(field_of([&] { texts_of(body["t"], "t"); }) == "t[1]");
  CHECK(field_of([&] { messages_of(body["m"], "m"); }) == "m[0]");
  CHECK(field_of([&] { ids_of(body["ids"], "ids", 99); }) == "ids");
  CHECK(field_of([&] { need_field(body, "gone"); }) == "gone");
  CHECK(number_field(body, "n", 0, 0, 9) == 1.5);
}
