#include "core/options.hpp"

#include "core/error.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;

struct SampleOptions {
  bool on = false;
  int small = 3;
  std::int64_t count = 8;
  double beta = 0.1;
  std::string name = "cosine";
  std::vector<std::string> tags{"a", "b"};
  std::vector<double> weights{0.5, 1};
  static void describe(auto& self, auto&& field) {
    field("on", self.on, "a switch");
    field("small", self.small, "an int");
    field("count", self.count, Range{1, 100}, "a count");
    field("beta", self.beta, Range{1e-6, 1e3}, "a number");
    field("name", self.name, Choices{{"constant", "linear", "cosine"}}, "a choice");
    field("tags", self.tags, "names");
    field("weights", self.weights, Range{0, 2}, "numbers");
  }
};

SampleOptions read(const std::string& key, const std::string& text) {
  OptionValues values;
  values.set("train." + key, text, "test.ini");
  return values.read<SampleOptions>("train");
}

TEST_CASE("options: declared() tells key, type, default, range and choices", "[core][unit]") {
  const std::vector<Option> options = declared<SampleOptions>("train");
  REQUIRE(options.size() == 7);
  const char* expected[][3] = {{"train.on", "bool", "false"},      {"train.small", "integer", "3"},
                               {"train.count", "integer", "8"},    {"train.beta", "number", "0.1"},
                               {"train.name", "text", "cosine"},   {"train.tags", "list", "a, b"},
                               {"train.weights", "list", "0.5, 1"}};
  for (std::size_t i = 0; i < options.size(); ++i) {
    CHECK(options[i].key == expected[i][0]);
    CHECK(options[i].type == expected[i][1]);
    CHECK(options[i].default_value == expected[i][2]);
    CHECK_FALSE(options[i].help.empty());
  }
  CHECK(options[2].range->high == 100);
  CHECK(options[4].choices == std::vector<std::string>{"constant", "linear", "cosine"});
}

TEST_CASE("options: texts become values", "[core][unit]") {
  CHECK(read("on", "yes").on);
  CHECK(read("on", " true ").on);
  CHECK_FALSE(read("on", "off").on);
  CHECK(read("small", "-7").small == -7);
  CHECK(read("count", "100").count == 100);
  CHECK(read("beta", "1e-6").beta == 1e-6);
  CHECK(read("name", "linear").name == "linear");
  CHECK(read("tags", "x, y z ,").tags == std::vector<std::string>{"x", "y z"});
  CHECK(read("tags", "").tags.empty());
  CHECK(read("weights", "0,2,1.5").weights == std::vector<double>{0, 2, 1.5});
}

TEST_CASE("options: what is not given keeps its default", "[core][unit]") {
  const SampleOptions options = read("on", "1");
  CHECK(options.beta == 0.1);
  CHECK(options.tags.size() == 2);
}

TEST_CASE("options: a wrong value names key, value, origin and what was expected", "[core][unit]") {
  const char* wrong[][3] = {
      {"on", "maybe", "true or false"},
      {"count", "0", "from 1 to 100"},
      {"count", "8.0", "a whole number from 1 to 100"},
      {"count", "", "a whole number"},
      {"count", "99999999999999999999", "a whole number"},
      {"small", "3000000000", "a smaller whole number"},
      {"beta", "0", "a number from 1e-06 to 1000"},
      {"beta", "nan", "a number from"},
      {"beta", "inf", "a number from"},
      {"beta", "0.1x", "a number from"},
      {"name", "cosin", "one of constant, linear, cosine (did you mean cosine?)"},
      {"weights", "1,x", "numbers separated by commas"},
      {"weights", "1,3", "from 0 to 2"},
  };
  for (const auto& [key, text, expected] : wrong) {
    INFO(key << " = " << text);
    CHECK_THROWS_AS(read(key, text), UsageError);
    CHECK_THROWS_WITH(read(key, text), Contains(std::string("train.") + key + " = " + text) &&
                                           Contains("test.ini") && Contains(expected));
  }
}

TEST_CASE("options: check_value accepts and rejects like read", "[core][unit]") {
  for (const Option& option : declared<SampleOptions>("train")) {
    CHECK_NOTHROW(check_value(option, {option.default_value, "default"}));
  }
  const std::vector<Option> options = declared<SampleOptions>("train");
  CHECK_THROWS_AS(check_value(options[0], {"perhaps", "command line"}), UsageError);
  CHECK_THROWS_AS(check_value(options[2], {"101", "command line"}), UsageError);
  CHECK_THROWS_AS(check_value(options[4], {"sine", "command line"}), UsageError);
}

TEST_CASE("options: printed values read back to the same value", "[core][unit]") {
  for (const double number : {0.1, 1.0 / 3, 1e-300, 123456789.125, 2.2250738585072014e-308, -0.0}) {
    const Option option{"x", "number", "", "", std::nullopt, {}};
    double out = 0;
    option_detail::parse(option, {option_detail::format(number), "test"}, out);
    CHECK(out == number);
  }
}

}  // namespace
}  // namespace plumb
