#include "config/config.hpp"

#include <fstream>
#include <functional>

#include "core/error.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

struct Demo {
  double beta = 0.1;
  std::int64_t steps = 5;
  bool fast = false;
  std::string rule = "max_min";
  std::vector<double> weights{1.0, 0.5};
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{0, 1}, "a number");
    field("steps", self.steps, Range{1, 100}, "a count");
    field("fast", self.fast, "a switch");
    field("rule", self.rule, Choices{{"max_min", "random"}}, "a name");
    field("weights", self.weights, "a list");
  }
};

Config make() { return Config(declared<Demo>("demo")); }

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("config: command line beats file beats default", "[config][unit]") {
  test::TempDir dir;
  std::ofstream(dir / "a.ini") << "# comment\n[demo]\nbeta = 0.25  # inline\nsteps = 7\n";
  Config config = make();
  config.load_file(dir / "a.ini");
  CHECK(config.load_command_line({"x", "--demo.steps=9", "--demo.fast", "--rule", "random", "y"}) ==
        std::vector<std::string>{"x", "y"});
  const auto demo = config.values().read<Demo>("demo");
  CHECK(demo.beta == 0.25);
  CHECK(demo.steps == 9);
  CHECK(demo.fast);
  CHECK(demo.rule == "random");
  CHECK(demo.weights == std::vector<double>{1.0, 0.5});
}

TEST_CASE("config: a dump reads back to the same values", "[config][unit]") {
  test::TempDir dir;
  Config config = make();
  config.load_command_line({"--demo.beta=0.30000000000000004", "--demo.weights=1e-9, 2"});
  std::ofstream(dir / "dump.ini") << config.dump();
  Config again = make();
  again.load_file(dir / "dump.ini");
  CHECK(again.effective() == config.effective());
  CHECK(config.dump().find("# command line") != std::string::npos);
}

TEST_CASE("config: mistakes name the key, the value and a way out", "[config][unit]") {
  using Catch::Matchers::Contains;
  Config config = make();
  CHECK_THAT(message_of([&] { config.load_command_line({"--demo.bet=1"}); }),
             Contains("did you mean 'demo.beta'"));
  CHECK_THAT(message_of([&] { config.load_command_line({"--demo.beta=2"}); }),
             Contains("demo.beta = 2") && Contains("0 to 1"));
  CHECK_THAT(message_of([&] { config.load_command_line({"--demo.steps=1.5"}); }),
             Contains("whole number"));
  CHECK_THAT(message_of([&] { config.load_command_line({"--demo.rule=max_mix"}); }),
             Contains("did you mean max_min"));
  CHECK_THAT(message_of([&] { config.load_command_line({"--demo.steps"}); }),
             Contains("needs a value"));
  CHECK_THAT(message_of([&] { config.load_command_line({"-x"}); }), Contains("no option"));
  CHECK_THROWS_AS(config.load_file("does-not-exist.ini"), DataError);

  test::TempDir dir;
  std::ofstream(dir / "twice.ini") << "[demo]\nbeta = 0.1\nbeta = 0.2\n";
  CHECK_THAT(message_of([&] { make().load_file(dir / "twice.ini"); }), Contains("set twice"));
  std::ofstream(dir / "junk.ini") << "[demo\nbeta\n";
  CHECK_THROWS_AS(make().load_file(dir / "junk.ini"), UsageError);
}

}  // namespace
}  // namespace plumb
