#include "store/rewards.hpp"

#include <algorithm>
#include <numeric>

#include "core/hash.hpp"

namespace plumb::store {
namespace {

std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

void add_token_rewards(Database& db, const RewardRow& reward) {
  const std::vector<float>& values = reward.per_token;
  Statement length = db.prepare("SELECT n_tokens FROM samples WHERE sample_id=?");
  if (length.bind(reward.sample_id).step() &&
      length.integer(0) != static_cast<std::int64_t>(values.size())) {
    throw InternalError(cat("store: ", values.size(), " token rewards for the ", length.integer(0),
                            " tokens of sample ", reward.sample_id));
  }
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  db.prepare(
        "INSERT INTO token_rewards(sample_id, module_id, n, total, vmin, vmax, vals) "
        "VALUES(:sample, :module, :n, :total, :vmin, :vmax, :vals)")
      .bind(reward.sample_id, reward.module_id, static_cast<std::int64_t>(values.size()),
            std::accumulate(values.begin(), values.end(), 0.0), static_cast<double>(*low),
            static_cast<double>(*high), pack(values))
      .run();
}

}  // namespace

std::int64_t reward_module(Database& db, const RewardModuleRow& module) {
  const std::string config = module.config.empty() ? "{}" : module.config;
  const std::string hash = sha256_hex(config);
  db.prepare(
        "INSERT INTO reward_modules(name, kind, version, config, config_sha) VALUES(:name, :kind, "
        ":version, :config, :config_sha) "
        "ON CONFLICT(name, version, config_sha) DO NOTHING")
      .bind(module.name, module.kind, module.version, config, hash)
      .run();
  Statement query = db.prepare(
      "SELECT module_id FROM reward_modules WHERE name=? AND version=? AND config_sha=?");
  query.bind(module.name, module.version, hash).step();
  return query.integer(0);
}

std::optional<std::int64_t> find_reward_module(const Database& db, std::int64_t iteration_id,
                                               const std::string& name) {
  Statement query = db.prepare(
      "SELECT max(u.module_id) FROM reward_rollup u JOIN reward_modules m USING(module_id) WHERE "
      "u.iteration_id=? AND m.name=? AND u.n>0");
  query.bind(iteration_id, name).step();
  return query.optional_integer(0);
}

void add_reward(Database& db, const RewardRow& reward) {
  Transaction transaction(db);
  db.prepare("DELETE FROM rewards WHERE sample_id=? AND module_id=?")
      .bind(reward.sample_id, reward.module_id)
      .run();
  db.prepare("DELETE FROM token_rewards WHERE sample_id=? AND module_id=?")
      .bind(reward.sample_id, reward.module_id)
      .run();
  db.prepare(
        "INSERT INTO rewards(sample_id, module_id, score, raw, components, error, latency_us) "
        "VALUES(:sample, :module, :score, :raw, :components, :error, :latency_us)")
      .bind(reward.sample_id, reward.module_id, reward.score, reward.raw,
            unless_empty(reward.components), unless_empty(reward.error), reward.latency_us)
      .run();
  if (!reward.per_token.empty()) add_token_rewards(db, reward);
  transaction.commit();
}

std::vector<std::int64_t> unscored_samples(const Database& db, std::int64_t iteration_id,
                                           std::int64_t module_id, const std::string& suite) {
  Statement query = db.prepare(
      "SELECT s.sample_id FROM samples s WHERE s.iteration_id=:iteration AND (:suite='' OR "
      "s.suite=:suite) AND NOT EXISTS(SELECT 1 FROM rewards r WHERE r.sample_id=s.sample_id AND "
      "r.module_id=:module AND r.score IS NOT NULL) ORDER BY s.sample_id");
  query.bind(iteration_id, suite, module_id);
  std::vector<std::int64_t> out;
  while (query.step()) out.push_back(query.integer(0));
  return out;
}

std::vector<std::string> failing_modules(const Database& db, std::int64_t iteration_id) {
  Statement query = db.prepare(
      "SELECT DISTINCT m.name FROM reward_rollup u JOIN reward_modules m USING(module_id) WHERE "
      "u.iteration_id=? AND u.errors>0 ORDER BY m.name");
  query.bind(iteration_id);
  std::vector<std::string> out;
  while (query.step()) out.push_back(query.text(0));
  return out;
}

std::vector<std::int64_t> failed_samples(const Database& db, std::int64_t iteration_id,
                                         std::int64_t module_id) {
  Statement query = db.prepare(
      "SELECT s.sample_id FROM samples s CROSS JOIN rewards r ON r.sample_id=s.sample_id AND "
      "r.module_id=? WHERE s.iteration_id=? AND r.error IS NOT NULL ORDER BY s.sample_id");
  query.bind(module_id, iteration_id);
  std::vector<std::int64_t> out;
  while (query.step()) out.push_back(query.integer(0));
  return out;
}

std::vector<std::pair<std::int64_t, double>> scores(const Database& db, std::int64_t iteration_id,
                                                    const std::string& suite,
                                                    std::int64_t module_id) {
  Statement query = db.prepare(
      "SELECT s.sample_id, r.score FROM samples s CROSS JOIN rewards r ON r.sample_id=s.sample_id "
      "AND r.module_id=? "
      "WHERE s.iteration_id=? AND s.suite=? AND +r.score IS NOT NULL ORDER BY s.sample_id");
  query.bind(module_id, iteration_id, suite);
  std::vector<std::pair<std::int64_t, double>> out;
  while (query.step()) out.emplace_back(query.integer(0), query.real(1));
  return out;
}

std::optional<double> find_score(const Database& db, std::int64_t sample_id,
                                 std::int64_t module_id) {
  Statement query = db.prepare("SELECT score FROM rewards WHERE sample_id=? AND module_id=?");
  if (!query.bind(sample_id, module_id).step()) return std::nullopt;
  return query.optional_real(0);
}

std::vector<float> find_token_rewards(const Database& db, std::int64_t sample_id,
                                      std::int64_t module_id) {
  Statement query = db.prepare("SELECT vals FROM token_rewards WHERE sample_id=? AND module_id=?");
  if (!query.bind(sample_id, module_id).step()) return {};
  return unpack_floats(query.blob(0));
}

std::vector<std::pair<std::int64_t, double>> score_components(const Database& db,
                                                              std::int64_t iteration_id,
                                                              const std::string& suite,
                                                              std::int64_t module_id,
                                                              const std::string& component) {
  Statement query = db.prepare(
      "SELECT s.sample_id, r.components->>('$.'||?) AS value FROM samples s CROSS JOIN rewards r "
      "ON "
      "r.sample_id=s.sample_id AND r.module_id=? WHERE s.iteration_id=? AND s.suite=? AND +r.score "
      "IS NOT NULL AND typeof(value) IN ('real', 'integer') ORDER BY s.sample_id");
  query.bind(component, module_id, iteration_id, suite);
  std::vector<std::pair<std::int64_t, double>> out;
  while (query.step()) out.emplace_back(query.integer(0), query.real(1));
  return out;
}

std::vector<RewardRow> rewards_of_sample(const Database& db, std::int64_t sample_id) {
  Statement query = db.prepare(
      "SELECT r.module_id, r.score, r.raw, r.components, r.error, r.latency_us, t.vals FROM "
      "rewards r "
      "LEFT JOIN token_rewards t ON t.sample_id=r.sample_id AND t.module_id=r.module_id WHERE "
      "r.sample_id=? ORDER BY r.module_id");
  query.bind(sample_id);
  std::vector<RewardRow> out;
  while (query.step()) {
    RewardRow row;
    row.sample_id = sample_id;
    row.module_id = query.integer(0);
    row.score = query.optional_real(1);
    row.raw = query.optional_real(2);
    row.components = query.text(3);
    row.error = query.text(4);
    row.latency_us = query.integer(5);
    row.per_token = unpack_floats(query.blob(6));
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace plumb::store
