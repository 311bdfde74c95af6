// The table of losses and modifiers.
#include "losses/registry.hpp"

#include <fstream>
#include <iterator>
#include <set>

#include "batches.hpp"
#include "core/error.hpp"
#include "losses/pairwise.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

OptionValues values(const std::vector<std::pair<std::string, std::string>>& settings) {
  OptionValues out;
  for (const auto& [key, text] : settings) out.set(key, text, "run.ini");
  return out;
}

}  // namespace

TEST_CASE("registry: names are unique and say what they are", "[losses][registry]") {
  std::set<std::string> names;
  for (const LossEntry& row : losses()) {
    CHECK(names.insert(row.name).second);
    CHECK_FALSE(row.summary.empty());
    CHECK(row.make({}) != nullptr);
    for (const Option& option : row.options()) CHECK(option.key.starts_with(row.name + "."));
  }
  for (const ModifierEntry& row : modifiers()) CHECK(names.insert(row.name).second);
  for (const char* name : {"dpo", "rpo", "rrpo", "simpo", "ipo", "cdpo", "tdpo", "orpo", "kto",
                           "bco", "rapo", "sft", "genarm", "treg", "elr", "reweight"}) {
    INFO(name);
    CHECK(names.contains(name));
  }
}

TEST_CASE("registry: an unknown name is answered with the nearest", "[losses][registry]") {
  CHECK_THROWS_WITH(make_loss("dop", {}),
                    Catch::Contains("loss.name = dop") && Catch::Contains("did you mean dpo?"));
  CHECK_THROWS_AS(make_loss("dop", {}), UsageError);
  CHECK_THROWS_WITH(make_loss("dpo", values({{"loss.modifier", "tregg"}})),
                    Catch::Contains("did you mean treg?"));
}

TEST_CASE("registry: options are read from the loss's own section", "[losses][registry]") {
  const auto loss = make_loss("dpo", values({{"dpo.beta", "0.5"},
                                             {"dpo.loss_type", "hinge, sft"},
                                             {"dpo.loss_weights", "1, 0.2"}}));
  CHECK(loss->terms().size() == 2);
  CHECK(loss->terms()[0].name == "hinge");
  CHECK(loss->terms()[1].weight == 0.2);
  CHECK(loss->terms()[1].per == Per::kChosenToken);
  CHECK_THROWS_WITH(make_loss("dpo", values({{"dpo.beta", "-1"}})),
                    Catch::Contains("dpo.beta = -1") && Catch::Contains("run.ini"));
  CHECK_THROWS_WITH(make_loss("dpo", values({{"dpo.loss_type", "sigmoi"}})),
                    Catch::Contains("did you mean sigmoid?"));
}

TEST_CASE("registry: modifiers wrap the loss and add their needs", "[losses][registry]") {
  const Needs plain = make_loss("dpo", {})->needs();
  CHECK((plain.reference && !plain.token_rewards && !plain.history && !plain.whole_step));
  const auto all = make_loss("dpo", values({{"loss.modifier", "elr, treg, reweight"}}));
  const Needs needs = all->needs();
  CHECK((needs.reference && needs.token_rewards && needs.history && needs.whole_step));
  CHECK(all->terms().size() == 2);
  CHECK(all->terms()[1].name == "elr");
}

TEST_CASE("registry: a modifier named twice is refused", "[losses][registry]") {
  CHECK_THROWS_WITH(make_loss("dpo", values({{"loss.modifier", "treg, treg"}})),
                    Catch::Contains("treg is named twice"));
}

TEST_CASE("registry: docs/papers.md has a row for every loss and modifier", "[losses][registry]") {
  std::ifstream in(std::string(PLUMB_SOURCE_DIR) + "/docs/papers.md");
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto has_row = [&](const std::string& name) {
    INFO(name);
    CHECK(text.find("\n| `" + name + "`") != std::string::npos);
  };
  for (const LossEntry& row : losses()) has_row(row.name);
  for (const ModifierEntry& row : modifiers()) has_row(row.name);
}

TEST_CASE("registry: losses ask for no more than they read", "[losses][registry]") {
  CHECK_FALSE(make_loss("simpo", {})->needs().reference);
  CHECK_FALSE(make_loss("genarm", {})->needs().reference);
  CHECK_FALSE(make_loss("dpo", values({{"dpo.reference_free", "true"}}))->needs().reference);
  CHECK(make_loss("rrpo", {})->needs().kl);
  CHECK_FALSE(make_loss("rrpo", values({{"rrpo.alpha", "0"}}))->needs().kl);
  CHECK(make_loss("orpo", {})->needs().prompt_nll);
  CHECK(make_loss("kto", {})->needs().whole_step);
}

TEST_CASE("registry: every option is listed once, with a default that can be read back",
          "[losses][registry]") {
  std::set<std::string> keys;
  for (const Option& option : loss_options()) {
    INFO(option.key);
    CHECK(keys.insert(option.key).second);
    CHECK_FALSE(option.help.empty());
    check_value(option, {option.default_value, "default"});
  }
  for (const char* key : {"loss.name", "loss.modifier", "dpo.beta", "rpo.eta", "treg.alpha",
                          "rrpo.alpha", "spans.min_match"}) {
    INFO(key);
    CHECK(keys.contains(key));
  }
}
