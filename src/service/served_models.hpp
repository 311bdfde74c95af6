#pragma once
#include <memory>
#include <string>
#include <vector>

#include "rewards/reward.hpp"
#include "service/text_model.hpp"
#include "text/tokenizer.hpp"

namespace plumb::service {

struct ServedModule {
  std::string name;
  std::shared_ptr<const RewardModule> module;
  std::string fingerprint;  // of everything that decides its scores
  bool is_stored = true;    // its scores go into serve.store
};

/// What is loaded. A reload makes a new one; requests in flight keep theirs.
struct ServedModels {
  std::vector<ServedModule> modules;             // the first one is the default
  std::shared_ptr<const Tokenizer> tokenizer;    // counts tokens and reads ids; may be absent
  std::shared_ptr<TextModel> policy;             // may be absent
  std::shared_ptr<const ServedModule> logprobs;  // of the policy, if there is one

  /// Sets policy and logprobs.
  void serve_policy(std::shared_ptr<TextModel> model);

  /// nullptr if there is none of this name.
  const ServedModule* find(const std::string& name) const {
    for (const ServedModule& module : modules) {
      if (module.name == name) return &module;
    }
    return nullptr;
  }
};

}  // namespace plumb::service
