#include "rewards/registry.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no UsageError";
}

}  // namespace

TEST_CASE("reward modules are listed once, in order, with their own options", "[rewards][unit]") {
  std::vector<std::string> names;
  for (const RewardEntry& entry : reward_modules()) {
    names.push_back(entry.info.name);
    CHECK_FALSE(entry.info.unit.empty());
    CHECK(entry.info.source.empty() == (entry.info.name == "remote"));
    CHECK_FALSE(entry.info.summary.empty());
    for (const Option& option : entry.options) {
      CHECK(option.key.rfind(entry.info.name + ".", 0) == 0);
      CHECK_FALSE(option.help.empty());
    }
  }
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  std::set<std::string> keys;
  for (const Option& option : reward_options()) CHECK(keys.insert(option.key).second);
}

TEST_CASE("a reward is made by name from its options", "[rewards][unit]") {
  RewardContext context(128);
  OptionValues values;
  values.set("r3.backend", "lexical", "test");
  values.set("length.target_words", "4", "test");
  for (const char* name : {"r3", "length", "repetition"}) {
    CHECK(make_reward(name, values, context)->info().name == name);
  }
  RewardSample sample;
  sample.response = "one two";
  CHECK(*make_reward("length", values, context)->score(std::vector{sample})[0].value == 0.5);
}

TEST_CASE("reward names and options are checked", "[rewards][unit]") {
  RewardContext context;
  OptionValues values;
  CHECK(message_of([&] { make_reward("lenght", values, context); }).find("did you mean length") !=
        std::string::npos);
  values.set("r3.backend", "lexcal", "run.ini");
  CHECK(message_of([&] { make_reward("r3", values, context); }).find("lexical") !=
        std::string::npos);
  values.set("r3.backend", "lexical", "run.ini");
  values.set("r3.closed_in", "1, 0", "run.ini");
  CHECK(message_of([&] { make_reward("r3", values, context); }).find("ascending") !=
        std::string::npos);
}

TEST_CASE("a missing encoder is a data error", "[rewards][unit]") {
  RewardContext context;
  OptionValues values;
  values.set("r3.encoder", "/nonexistent/encoder", "test");
  CHECK_THROWS_AS(make_reward("r3", values, context), DataError);
}
