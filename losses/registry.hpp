#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "losses/loss.hpp"

namespace plumb {

class PairwiseLoss;

/// Section `loss` of a config. The options of a loss or modifier are in the section of its name.
struct LossChoice {
  std::string name = "dpo";
  std::vector<std::string> modifier;
  std::string token_rewards = "treg";
  static void describe(auto& self, auto&& field) {
    field("name", self.name, "preference loss; `plumb list losses` shows all");
    field("modifier", self.modifier, "what changes the loss, innermost first: elr, treg, reweight");
    field("token_rewards", self.token_rewards,
          "reward module whose values per token a loss reads that needs them (modifier treg)");
  }
};

/// One row per loss: `plumb list losses`, option checking and the documentation read it.
struct LossEntry {
  std::string name;
  std::string paper;    // arXiv number
  std::string summary;  // one line
  std::vector<Option> (*options)();
  std::unique_ptr<PairwiseLoss> (*make)(const OptionValues& values);
};
const std::vector<LossEntry>& losses();

/// One row per modifier; a modifier wraps any loss.
struct ModifierEntry {
  std::string name;
  std::string paper;
  std::string summary;
  std::vector<Option> (*options)();
  std::unique_ptr<PairwiseLoss> (*wrap)(std::unique_ptr<PairwiseLoss> base,
                                        const OptionValues& values);
};
const std::vector<ModifierEntry>& modifiers();

/// Makes the loss `name`, wrapped in the modifiers of `loss.modifier`.
/// Throws UsageError for an unknown name (with the nearest known one) or a wrong option.
std::unique_ptr<PreferenceLoss> make_loss(const std::string& name, const OptionValues& values);

/// Every option that decides a loss: the sections `loss`, `spans`, of each loss and of each
/// modifier.
std::vector<Option> loss_options();

}  // namespace plumb
