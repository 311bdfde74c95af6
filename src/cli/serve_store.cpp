#include "cli/serve_store.hpp"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/hash.hpp"
#include "core/log.hpp"
#include "pipeline/run_prompts.hpp"
#include "pipeline/scoring.hpp"
#include "pipeline/version.hpp"
#include "store/prompts.hpp"
#include "store/rewards.hpp"
#include "store/runs.hpp"
#include "store/samples.hpp"

namespace plumb::cli {
namespace {

constexpr const char* kRun = "service";
constexpr const char* kSuite = "service";

store::PromptRow prompt_row(const RewardSample& sample) {
  store::PromptRow row;
  row.dataset = kRun;
  row.kind = sample.kind;
  row.reference_answer = sample.reference;
  row.messages = messages_json(sample.messages);
  for (const Message& message : sample.messages)
    row.text += (row.text.empty() ? "" : "\n") + message.content;
  row.ids = sample.prompt_ids;
  return row;
}

class ScoreStore final : public service::ScoreSink {
 public:
  ScoreStore(const std::filesystem::path& file, const std::string& config)
      : db_(store::Database::open_writer(file)) {
    // A score that a power cut loses is computed again: one flush a batch is not worth it.
    db_.execute("PRAGMA synchronous=NORMAL");
    std::optional<store::Run> run = store::find_run(db_, kRun);
    const std::int64_t run_id = run ? run->id : store::create_run(db_, kRun, 0, kVersion, config);
    std::optional<store::Iteration> iteration = store::find_iteration(db_, run_id, 0);
    if (!iteration) {
      store::Iteration fresh;
      fresh.run_id = run_id;
      fresh.phase = "score";
      iteration_ = store::create_iteration(db_, fresh, "{}");
    } else {
      iteration_ = iteration->id;
    }
  }

  void add(std::span<const service::ScoreRecord> records) override {
    const std::scoped_lock lock(mutex_);
    store::Transaction transaction(db_);
    for (const service::ScoreRecord& record : records) {
      store::RewardRow row;
      row.sample_id = sample_id(*record.sample);
      row.module_id = module_id(*record.module);
      row.score = record.score->value;
      row.raw = record.score->raw;
      row.components = components_json(*record.score);
      row.error = record.score->value ? "" : record.score->error;
      row.latency_us = record.latency_us;
      // The table has one value a token; without the response's ids there is nothing to count by.
      if (record.score->per_token.size() == record.sample->response_ids.size())
        row.per_token = record.score->per_token;
      store::add_reward(db_, row);
    }
    transaction.commit();
  }

  void recall(const service::ServedModels& models, service::ScoreCache& cache) override {
    std::int64_t count = 0;
    // A connection of its own: scores are added meanwhile.
    const store::Database db = store::Database::open_reader(db_.file());
    for (const service::ServedModule& module : models.modules) {
      const std::int64_t id = locked_module_id(module);
      auto query = db.prepare(
          "SELECT s.sample_id, s.prompt_id FROM rewards r JOIN samples s USING(sample_id) "
          "WHERE r.module_id=? AND r.score IS NOT NULL ORDER BY s.sample_id");
      query.bind(id);
      while (query.step()) {
        const std::optional<store::SampleRow> sample = store::find_sample(db, query.integer(0));
        const std::optional<store::PromptRow> prompt = store::find_prompt(db, query.integer(1));
        if (!sample || !prompt) continue;
        cache.add(service::cache_key(module.fingerprint, reward_sample(*sample, *prompt)),
                  std::make_shared<const Score>(stored_score(db, sample->id, id)));
        ++count;
      }
    }
    log::info(cat(count, " scores of ", db_.file().string(), " are in the cache"));
  }

 private:
  static RewardSample reward_sample(const store::SampleRow& sample,
                                    const store::PromptRow& prompt) {
    RewardSample out;
    out.messages = messages_of(prompt);
    out.response = sample.text;
    out.prompt_ids = prompt.ids;
    out.response_ids = sample.ids;
    out.finished = sample.finish_reason == "stop";
    out.reference = prompt.reference_answer;
    out.kind = prompt.kind;
    return out;
  }

  static Score stored_score(const store::Database& db, std::int64_t sample, std::int64_t module) {
    Score score;
    for (const store::RewardRow& row : store::rewards_of_sample(db, sample)) {
      if (row.module_id != module) continue;
      score.value = row.score;
      score.raw = row.raw;
      const nlohmann::json components =
          nlohmann::json::parse(row.components.empty() ? "{}" : row.components);
      for (const auto& [name, value] : components.items()) {
        if (value.is_number()) {
          score.components.emplace_back(name, value.get<double>());
        } else if (value.is_string()) {
          score.labels.emplace_back(name, value.get<std::string>());
        }
      }
    }
    score.per_token = store::find_token_rewards(db, sample, module);
    return score;
  }

  std::int64_t sample_id(const RewardSample& sample) {
    const std::int64_t prompt = store::add_prompt(db_, prompt_row(sample));
    const std::string finish = sample.finished ? "stop" : "length";
    auto known = db_.prepare(
        "SELECT s.sample_id FROM samples s JOIN sample_tokens t USING(sample_id) WHERE "
        "s.text_hash=? AND s.iteration_id=? AND s.suite=? AND s.prompt_id=? AND s.text=? AND "
        "s.finish_reason=? AND t.ids=?");
    if (known
            .bind(text_hash63(sample.response), iteration_, kSuite, prompt, sample.response, finish,
                  store::pack(sample.response_ids))
            .step())
      return known.integer(0);
    auto last = db_.prepare(
        "SELECT coalesce(max(k)+1, 0) FROM samples WHERE iteration_id=? AND suite=? AND "
        "prompt_id=?");
    last.bind(iteration_, kSuite, prompt).step();
    store::SampleRow row;
    row.iteration_id = iteration_;
    row.prompt_id = prompt;
    row.suite = kSuite;
    row.k = last.integer(0);
    row.source = "service";
    row.finish_reason = finish;
    row.ids = sample.response_ids;
    row.text = sample.response;
    return store::add_sample(db_, row);
  }

  std::int64_t module_id(const service::ServedModule& module) {
    const auto known = module_ids_.find(module.fingerprint);
    if (known != module_ids_.end()) return known->second;
    const nlohmann::json config{{"fingerprint", module.fingerprint},
                                {"unit", module.module->info().unit}};
    const std::int64_t id =
        store::reward_module(db_, {module.name, module.name, kVersion, config.dump()});
    return module_ids_.emplace(module.fingerprint, id).first->second;
  }

  std::int64_t locked_module_id(const service::ServedModule& module) {
    const std::scoped_lock lock(mutex_);
    return module_id(module);
  }

  std::mutex mutex_;  // of everything below
  store::Database db_;
  std::int64_t iteration_ = 0;
  std::map<std::string, std::int64_t> module_ids_;  // by fingerprint
};

}  // namespace

std::unique_ptr<service::ScoreSink> open_score_store(const std::filesystem::path& file,
                                                     const std::string& config) {
  return std::make_unique<ScoreStore>(file, config);
}

}  // namespace plumb::cli
