#include "rollout/generation.hpp"

#include <algorithm>
#include <numeric>

#include "core/clock.hpp"
#include "core/error.hpp"

namespace plumb {
namespace {

/// Prompt tokens run together: enough rows to keep the matrix products efficient, few enough to
/// stay in the cache.
constexpr std::size_t kPromptTokens = 512;
constexpr std::size_t kPromptGroup = 64;  // prompts whose next-token logits are held at once

}  // namespace

Generation::Generation(TokenModel& model, const Tokenizer& tokenizer, const GenerationPlan& plan)
    : model_(model),
      tokenizer_(tokenizer),
      plan_(plan),
      sampler_(plan.sampling, plan.end_ids, model.vocab_size()) {}

Generation::~Generation() {
  for (const Sample& sample : running_) model_.close_row(sample.row);
  for (const Prompt& prompt : prompts_) model_.release(prompt.prefix);
}

RolloutStats Generation::run() {
  while (true) {
    fill_rows();
    if (running_.empty()) return stats_;
    step();
  }
}

void Generation::fill_rows() {
  while (static_cast<std::int64_t>(running_.size()) < plan_.max_rows) {
    if (!ready_.empty()) {
      Sample sample = std::move(ready_.front());
      ready_.pop_front();
      open(std::move(sample));
    } else if (has_request()) {
      run_prompts();
    } else {
      return;
    }
  }
}

bool Generation::has_request() {
  if (upcoming_ == nullptr) upcoming_ = plan_.next();
  return upcoming_ != nullptr;
}

void Generation::open(Sample&& sample) {
  sample.row = model_.open_row(sample.prefix);
  const TokenModel::PrefixId prefix = sample.prefix;
  running_.push_back(std::move(sample));
  leave_prompt(prefix);
}

void Generation::leave_prompt(TokenModel::PrefixId prefix) {
  const auto prompt = std::find_if(prompts_.begin(), prompts_.end(),
                                   [&](const Prompt& p) { return p.prefix == prefix; });
  if (--prompt->waiting > 0) return;
  model_.release(prefix);
  prompts_.erase(prompt);
}

/// Runs the next prompts and draws the first token of all their samples.
void Generation::run_prompts() {
  const double start = monotonic_seconds();
  std::vector<const RolloutRequest*> group;
  std::vector<std::size_t> numbers;
  std::size_t tokens = 0;
  while (group.size() < kPromptGroup && has_request()) {
    const RolloutRequest& request = *upcoming_;
    if (!group.empty() && tokens + request.prompt_ids.size() > kPromptTokens) break;
    upcoming_ = nullptr;
    const std::size_t number = started_++;
    if (request.samples == 0) continue;
    tokens += request.prompt_ids.size();
    group.push_back(&request);
    numbers.push_back(number);
  }
  if (group.empty()) return;
  NextLogits logits;
  const std::vector<TokenModel::PrefixId> prefixes = model_.prefill(group, logits);

  std::vector<Sample> fresh;
  std::vector<std::int64_t> logit_rows;
  for (std::size_t g = 0; g < group.size(); ++g) {
    const RolloutRequest& request = *group[g];
    prompts_.push_back({prefixes[g], request.samples});
    for (std::int64_t k = 0; k < request.samples; ++k) {
      fresh.push_back(make_sample(request, numbers[g], k, prefixes[g]));
      logit_rows.push_back(static_cast<std::int64_t>(g));
    }
  }
  draw(fresh, logit_rows, logits);
  stats_.prompt_tokens += static_cast<std::int64_t>(tokens);
  stats_.prefill_seconds += monotonic_seconds() - start;
  for (Sample& sample : fresh) {
    if (is_finished(sample)) {
      leave_prompt(sample.prefix);
      plan_.done(std::move(sample.response));
    } else {
      ready_.push_back(std::move(sample));
    }
  }
}

Generation::Sample Generation::make_sample(const RolloutRequest& request, std::size_t number,
                                           std::int64_t k, TokenModel::PrefixId prefix) const {
  RolloutResponse response;
  response.request = number;
  response.sample = request.first_sample + k;
  const SamplingOptions& sampling = request.sampling ? *request.sampling : plan_.sampling;
  const std::int64_t limit = request.limits.empty() ? sampling.max_new_tokens
                                                    : request.limits[static_cast<std::size_t>(k)];
  const RandomStream stream(request.seed.value_or(plan_.seed), plan_.iteration, request.stream,
                            static_cast<std::uint64_t>(response.sample));
  return {std::move(response),
          &request,
          &sampling,
          limit,
          stream,
          StopWatch(tokenizer_, sampling.stop),
          prefix};
}

void Generation::step() {
  const double start = monotonic_seconds();
  rows_.clear();
  tokens_.clear();
  for (const Sample& sample : running_) {
    rows_.push_back(sample.row);
    tokens_.push_back(sample.response.ids.back());
  }
  const NextLogits logits = model_.step(rows_, tokens_);
  logit_rows_.resize(running_.size());
  std::iota(logit_rows_.begin(), logit_rows_.end(), std::int64_t{0});
  draw(running_, logit_rows_, logits);
  ++stats_.steps;
  stats_.decode_seconds += monotonic_seconds() - start;

  // Emitted last: the callback may throw, and running_ must then still own every open row.
  std::vector<Sample> done;
  std::erase_if(running_, [&](Sample& sample) {
    if (!is_finished(sample)) return false;
    model_.close_row(sample.row);
    done.push_back(std::move(sample));
    return true;
  });
  for (Sample& sample : done) plan_.done(std::move(sample.response));
}

void Generation::draw(std::span<Sample> samples, std::span<const std::int64_t> logit_rows,
                      const NextLogits& logits) {
  inputs_.clear();
  drawn_.assign(samples.size(), std::nullopt);
  const float* sampling = logits.sampling.const_data_ptr<float>();
  const float* policy = logits.policy.const_data_ptr<float>();
  const std::int64_t vocab = model_.vocab_size();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const RolloutResponse& response = samples[i].response;
    const std::size_t position = response.ids.size();
    inputs_.push_back({sampling + logit_rows[i] * vocab, policy + logit_rows[i] * vocab,
                       samples[i].request->prompt_ids, response.ids,
                       samples[i].stream.uniform(position), samples[i].sampling,
                       samples[i].request->top_logprobs});
  }
  sampler_.draw(inputs_, drawn_);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    RolloutResponse& response = samples[i].response;
    if (!drawn_[i]) {
      throw DataError(cat("request ", response.request, ", sample ", response.sample, ", position ",
                          response.ids.size(),
                          ": the model's logits hold a NaN or an infinity; expected finite "
                          "numbers. Check the weights (a training run that ",
                          "diverged?) or sample with float32"));
    }
    response.ids.push_back(drawn_[i]->token);
    response.logp_policy.push_back(drawn_[i]->logp_policy);
    response.logp_sampling.push_back(drawn_[i]->logp_sampling);
    if (samples[i].request->top_logprobs > 0) response.top.push_back(std::move(drawn_[i]->top));
  }
  stats_.generated_tokens += static_cast<std::int64_t>(samples.size());
}

/// Whether the last token ends the response; sets why.
bool Generation::is_finished(Sample& sample) const {
  RolloutResponse& response = sample.response;
  const bool end = std::find(plan_.end_ids.begin(), plan_.end_ids.end(), response.ids.back()) !=
                   plan_.end_ids.end();
  const bool stop = sample.stop.completed_by_last(response.ids);
  response.finish = end || stop ? FinishReason::kStop : FinishReason::kLength;
  const bool cut = plan_.token && !plan_.token(response);
  return end || stop || cut || static_cast<std::int64_t>(response.ids.size()) >= sample.limit;
}

}  // namespace plumb
