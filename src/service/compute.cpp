#include "service/compute.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "service/text_batch.hpp"

namespace plumb::service {
namespace {

std::string module_label(const ServedModule& module) {
  return "module=\"" + label_value(module.name) + "\"";
}

std::int64_t cost_of(const ComputeQueue::Work& work) { return work.job->items[work.item].cost; }

/// What a client may see of a score: a finite value, or the reason why there is none.
ModuleScore checked(const ServedModule& module, Score&& score) {
  int status = 0;
  if (score.value && !std::isfinite(*score.value)) {
    score.value.reset();
    score.error = cat("reward module ", module.name, " returned a value that is not finite");
    status = 500;
  } else if (!score.value) {
    if (score.error.empty()) score.error = cat("reward module ", module.name, " returned no value");
    status = 422;
  }
  return {std::make_shared<const Score>(std::move(score)), status};
}

ModuleScore failed(int status, const std::string& error) {
  Score score;
  score.error = error;
  return {std::make_shared<const Score>(std::move(score)), status};
}

}  // namespace

Compute::Compute(Options options, ComputeQueue& queue, ScoreCache& cache, Metrics& metrics,
                 ScoreSink* sink)
    : options_(options),
      queue_(queue),
      cache_(cache),
      metrics_(metrics),
      sink_(sink),
      thread_([this] { loop(); }) {}

Compute::~Compute() { stop(); }

void Compute::stop() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

void Compute::loop() {
  double before = monotonic_seconds();
  for (;;) {
    ComputeQueue::Batch batch = queue_.take(options_.max_batch_tokens, options_.max_wait_us);
    const double start = monotonic_seconds();
    metrics_.add("plumb_compute_idle_seconds_total", "", start - before);
    if (batch.closed) return;
    if (batch.text)
      TextBatch(queue_, metrics_, [this] { run_waiting_scores(); }).run(std::move(batch.text));
    run(std::move(batch));
    before = monotonic_seconds();
    metrics_.add("plumb_compute_busy_seconds_total", "", before - start);
  }
}

/// Scores that came while completions are sampled.
void Compute::run_waiting_scores() { run(queue_.take_scores(options_.max_batch_tokens)); }

void Compute::run(ComputeQueue::Batch&& batch) {
  for (const Work& work : batch.dropped) {
    metrics_.add("plumb_dropped_total");
    finish(work);
  }
  if (batch.works.empty()) return;
  const double now = monotonic_seconds();
  std::int64_t tokens = 0;
  for (const Work& work : batch.works) {
    tokens += cost_of(work);
    if (work.job->started > 0) continue;
    work.job->started = now;
    metrics_.observe("plumb_queue_seconds", now - work.job->admitted);
  }
  metrics_.observe("plumb_batch_size", static_cast<double>(batch.works.size()));
  metrics_.observe("plumb_batch_tokens", static_cast<double>(tokens));
  std::stable_sort(batch.works.begin(), batch.works.end(), [](const Work& a, const Work& b) {
    const ServedModule* module_a = a.job->modules[a.module];
    const ServedModule* module_b = b.job->modules[b.module];
    if (module_a != module_b) return std::less<>{}(module_a, module_b);
    return cost_of(a) < cost_of(b);
  });
  const std::span<Work> works(batch.works);
  for (std::size_t begin = 0, end = 0; begin < works.size(); begin = end) {
    const ServedModule* module = works[begin].job->modules[works[begin].module];
    while (end < works.size() && works[end].job->modules[works[end].module] == module) ++end;
    run_module(*module, works.subspan(begin, end - begin));
  }
  for (const Work& work : works) finish(work);
}

void Compute::run_module(const ServedModule& module, std::span<Work> works) {
  std::vector<Work> distinct;
  std::vector<RewardSample> samples;
  std::map<ScoreCache::Key, std::size_t> place_of;
  std::vector<std::size_t> places(works.size());
  constexpr std::size_t kCached = static_cast<std::size_t>(-1);
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < works.size(); ++i) {
    const Work& work = works[i];
    if (!work.job->keys.empty()) {
      const auto& key = work.job->keys[work.item * work.job->modules.size() + work.module];
      if (std::shared_ptr<const Score> known = cache_.find(key)) {
        work.job->at(work.item, work.module) = {std::move(known), 0};
        metrics_.add("plumb_cache_hits_total");
        places[i] = kCached;
        continue;
      }
      const auto [known, is_new] = place_of.emplace(key, distinct.size());
      places[i] = known->second;
      if (!is_new) {
        metrics_.add("plumb_cache_hits_total");
        continue;
      }
    } else {
      places[i] = distinct.size();
    }
    distinct.push_back(work);
    samples.push_back(work.job->items[work.item].sample);
    tokens += cost_of(work);
  }
  if (distinct.empty()) return;
  const double start = monotonic_seconds();
  const std::vector<ModuleScore> scores = score(module, samples);
  const double seconds = monotonic_seconds() - start;
  metrics_.observe("plumb_inference_seconds", seconds, module_label(module));
  metrics_.add("plumb_tokens_total", module_label(module), static_cast<double>(tokens));
  metrics_.add("plumb_scored_total", module_label(module), static_cast<double>(samples.size()));
  std::set<ScoreJob*> jobs;
  for (std::size_t i = 0; i < works.size(); ++i) {
    if (jobs.insert(works[i].job.get()).second) works[i].job->inference_seconds += seconds;
    if (places[i] != kCached) works[i].job->at(works[i].item, works[i].module) = scores[places[i]];
  }
  keep(module, distinct, scores,
       static_cast<std::int64_t>(1e6 * seconds / static_cast<double>(samples.size())));
}

std::vector<ModuleScore> Compute::score(const ServedModule& module,
                                        std::span<const RewardSample> samples) {
  std::vector<ModuleScore> out;
  if (options_.batch_invariant && samples.size() > 1) {
    for (const RewardSample& sample : samples) out.push_back(score(module, {&sample, 1}).front());
    return out;
  }
  std::string error;
  int status = 500;
  try {
    std::vector<Score> scores = module.module->score(samples);
    if (scores.size() == samples.size()) {
      for (Score& score : scores) out.push_back(checked(module, std::move(score)));
      return out;
    }
    error = cat("reward module ", module.name, " returned ", scores.size(), " scores for ",
                samples.size(), " texts");
  } catch (const DataError& problem) {
    error = problem.what();
    status = 422;
  } catch (const std::exception& problem) {
    error = cat("reward module ", module.name, " failed: ", problem.what());
  }
  if (samples.size() == 1) {
    if (status == 500) log::error(error);
    return {failed(status, error)};
  }
  for (const RewardSample& sample : samples) out.push_back(score(module, {&sample, 1}).front());
  return out;
}

void Compute::keep(const ServedModule& module, std::span<const Work> works,
                   std::span<const ModuleScore> scores, std::int64_t latency_us) {
  std::vector<ScoreRecord> records;
  for (std::size_t i = 0; i < works.size(); ++i) {
    const Work& work = works[i];
    const Score& score = *scores[i].score;
    if (score.value) {
      metrics_.observe("plumb_score", *score.value, module_label(module));
      if (!work.job->keys.empty())
        cache_.add(work.job->keys[work.item * work.job->modules.size() + work.module],
                   scores[i].score);
    } else {
      metrics_.add("plumb_score_errors_total", module_label(module));
    }
    if (module.is_stored)
      records.push_back({&module, &work.job->items[work.item].sample, &score, latency_us});
  }
  metrics_.add("plumb_cache_misses_total", "", static_cast<double>(works.size()));
  if (sink_ == nullptr || records.empty()) return;
  try {
    sink_->add(records);
  } catch (const std::exception& error) {
    metrics_.add("plumb_store_errors_total", "", static_cast<double>(records.size()));
    log::error(cat("scores were not stored: ", error.what()));
  }
}

void Compute::finish(const Work& work) {
  queue_.release(cost_of(work), 0);
  const std::shared_ptr<ScoreJob>& job = work.job;
  if (--job->remaining > 0) return;
  queue_.release(0, 1);
  job->exchange->on_io_thread([job] {
    if (job->exchange->abandoned) return;
    RequestCosts& costs = job->exchange->costs;
    costs.queue_us = static_cast<std::int64_t>(1e6 * (job->started - job->admitted));
    costs.inference_us = static_cast<std::int64_t>(1e6 * job->inference_seconds);
    job->exchange->reply(job->render(*job));
  });
}

}  // namespace plumb::service
