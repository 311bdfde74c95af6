#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/hash.hpp"
#include "service/exchange.hpp"
#include "service/served_models.hpp"

namespace plumb::service {

/// One text to score.
struct ScoreItem {
  RewardSample sample;
  std::string id;  // the client's own name of it as JSON; "" if it gave none
  std::int64_t prompt_tokens = 0, response_tokens = 0;
  std::int64_t cost = 1;   // tokens it counts for in the queue, estimated before it is tokenized
  bool truncated = false;  // the prompt's beginning was cut
  std::string error;       // why it cannot be scored at all
  int error_status = 0;
};

/// What a module said about an item. `status` is 0, 422 (the text has no score) or 500 (the module
/// failed); then score->error tells why.
struct ModuleScore {
  std::shared_ptr<const Score> score;
  int status = 0;
};

/// The scoring part of one request: items x modules, and how its reply is made.
struct ScoreJob {
  std::shared_ptr<const ServedModels> models;
  std::vector<const ServedModule*> modules;
  std::vector<std::shared_ptr<const ServedModule>> own_modules;  // keeps the last of `modules`
  std::vector<ScoreItem> items;
  std::vector<ModuleScore> scores;   // [items * modules]
  std::vector<Sha256::Digest> keys;  // [items * modules] of the cache; empty if it is off
  std::size_t remaining = 0;         // scores still to be made
  double admitted = 0, started = 0;  // monotonic seconds
  double inference_seconds = 0;      // of the batches it was in
  std::shared_ptr<Exchange> exchange;
  /// Makes the reply, on the I/O thread. Throws Problem.
  std::function<Reply(const ScoreJob&)> render;

  ModuleScore& at(std::size_t item, std::size_t module) {
    return scores[item * modules.size() + module];
  }
  const ModuleScore& at(std::size_t item, std::size_t module) const {
    return scores[item * modules.size() + module];
  }
};

}  // namespace plumb::service
