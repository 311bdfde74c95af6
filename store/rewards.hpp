#pragma once
#include <optional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

struct RewardModuleRow {
  std::string name, kind, version, config;  // config: JSON object with options and content hash
};
/// Id of the module with this name, version and config, added if new.
std::int64_t reward_module(Database& db, const RewardModuleRow& module);
/// Id of the newest module with this name that has scored samples of the iteration.
std::optional<std::int64_t> find_reward_module(const Database& db, std::int64_t iteration_id,
                                               const std::string& name);

struct RewardRow {
  std::int64_t sample_id = 0, module_id = 0;
  std::optional<double> score, raw;
  std::string components;  // JSON object or ""
  std::string error;       // "" if score is there
  std::int64_t latency_us = 0;
  std::vector<float> per_token;  // empty or one per token
};
/// Adds or replaces (a failed score that was retried).
void add_reward(Database& db, const RewardRow& reward);
/// Samples of the iteration that the module has not scored, or scored with an error.
/// @param suite  empty: all suites
std::vector<std::int64_t> unscored_samples(const Database& db, std::int64_t iteration_id,
                                           std::int64_t module_id, const std::string& suite = "");
/// Names of the modules that failed to score some sample of the iteration.
std::vector<std::string> failing_modules(const Database& db, std::int64_t iteration_id);
/// Samples of the iteration that the module scored with an error.
std::vector<std::int64_t> failed_samples(const Database& db, std::int64_t iteration_id,
                                         std::int64_t module_id);
/// (sample id, score) of a suite; samples without score are left out.
std::vector<std::pair<std::int64_t, double>> scores(const Database& db, std::int64_t iteration_id,
                                                    const std::string& suite,
                                                    std::int64_t module_id);
/// Score of a sample by a module, if it has one.
std::optional<double> find_score(const Database& db, std::int64_t sample_id,
                                 std::int64_t module_id);
/// Token values of a sample by a module, one a token; empty if there are none.
std::vector<float> find_token_rewards(const Database& db, std::int64_t sample_id,
                                      std::int64_t module_id);
/// (sample id, value) of a numeric component of a module's scores of a suite; samples without it
/// are left out.
std::vector<std::pair<std::int64_t, double>> score_components(const Database& db,
                                                              std::int64_t iteration_id,
                                                              const std::string& suite,
                                                              std::int64_t module_id,
                                                              const std::string& component);
std::vector<RewardRow> rewards_of_sample(const Database& db, std::int64_t sample_id);

}  // namespace plumb::store
