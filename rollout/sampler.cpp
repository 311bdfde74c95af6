#include "rollout/sampler.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "kernels/sample.hpp"
#include "rollout/filters.hpp"

namespace plumb {
namespace {

/// First entry whose running total exceeds `target`; the last entry with mass if rounding leaves
/// none.
std::int64_t inverse_cdf(std::span<const float> mass, std::span<const double> block_sums,
                         double target) {
  double below = 0;
  std::size_t block = 0, last_filled = 0;
  for (; block < block_sums.size(); ++block) {
    if (block_sums[block] > 0) last_filled = block;
    if (below + block_sums[block] > target) break;
    below += block_sums[block];
  }
  block = std::min(block, last_filled);
  const std::size_t begin = block * kernels::kMassBlock;
  const std::size_t end = std::min(mass.size(), begin + kernels::kMassBlock);
  std::size_t chosen = begin;
  for (std::size_t i = begin; i < end; ++i) {
    if (mass[i] <= 0) continue;
    chosen = i;
    below += static_cast<double>(mass[i]);
    if (below > target) break;
  }
  return static_cast<std::int64_t>(chosen);
}

/// The `count` largest logits as log-probs.
std::vector<LikelyToken> likeliest_tokens(const float* logits, std::int64_t vocab,
                                          std::int64_t count, double normaliser) {
  std::vector<LikelyToken> top;
  const auto wanted = static_cast<std::size_t>(std::min(count, vocab));
  for (std::int64_t id = 0; id < vocab && wanted > 0; ++id) {
    if (top.size() == wanted && !(logits[id] > top.back().second)) continue;
    if (top.size() == wanted) top.pop_back();
    const auto place = std::find_if(top.begin(), top.end(),
                                    [&](const LikelyToken& t) { return t.second < logits[id]; });
    top.insert(place, {static_cast<std::int32_t>(id), logits[id]});
  }
  for (auto& [id, value] : top) value = static_cast<float>(static_cast<double>(value) - normaliser);
  return top;
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, std::span<const std::int32_t> end_ids,
                 std::int64_t vocab_size)
    : options_(options),
      vocab_size_(vocab_size),
      scratch_(static_cast<std::size_t>(at::get_num_threads())) {
  expects(vocab_size > 0 && vocab_size < std::numeric_limits<std::int32_t>::max(), "a vocabulary");
  std::copy_if(end_ids.begin(), end_ids.end(), std::back_inserter(end_ids_),
               [&](std::int32_t id) { return id >= 0 && id < vocab_size; });
}

void Sampler::draw(std::span<const DrawInput> rows, std::span<std::optional<Draw>> drawn) {
  expects(rows.size() == drawn.size(), "one place a row");
  at::parallel_for(0, static_cast<std::int64_t>(rows.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     Scratch& scratch = scratch_.at(static_cast<std::size_t>(at::get_thread_num()));
                     for (auto row = static_cast<std::size_t>(begin);
                          row < static_cast<std::size_t>(end); ++row) {
                       drawn[row] = draw_row(rows[row], scratch);
                     }
                   });
}

/// Scores after penalty and mask: the row itself where neither applies.
const float* Sampler::adjusted_scores(const DrawInput& row, const SamplingOptions& options,
                                      Scratch& scratch) const {
  const bool penalised = options.repetition_penalty != 1.0;
  const bool masked =
      static_cast<std::int64_t>(row.response.size()) < options.min_new_tokens && !end_ids_.empty();
  if (!penalised && !masked) return row.logits;
  scratch.scores.assign(row.logits, row.logits + vocab_size_);
  if (penalised) {
    const auto penalty = static_cast<float>(options.repetition_penalty);
    for (const auto seen : {row.prompt, row.response}) {
      for (const std::int32_t id : seen) {
        if (id < 0 || id >= vocab_size_) continue;
        const float score = row.logits[id];
        scratch.scores[static_cast<std::size_t>(id)] =
            score < 0 ? score * penalty : score / penalty;
      }
    }
  }
  if (masked) {
    for (const std::int32_t id : end_ids_) {
      scratch.scores[static_cast<std::size_t>(id)] = std::numeric_limits<float>::lowest();
    }
  }
  return scratch.scores.data();
}

/// Sets the masses of dropped tokens to 0. @return the total of the others
double Sampler::filter(double total, const SamplingOptions& options, Scratch& scratch) const {
  const kernels::SamplePasses& passes = kernels::sample_passes();
  float* mass = scratch.mass.data();
  const auto keep = [&](const LikeliestSet& set) {
    total = passes.keep(mass, vocab_size_, set.cut, set.last_tie, scratch.block_sums.data());
  };
  if (options.top_k > 0 && options.top_k < vocab_size_) {
    keep(likeliest(scratch.mass, Amount::kCount, static_cast<double>(options.top_k),
                   scratch.candidates));
  }
  if (options.top_p < 1.0) {
    const double wanted = std::max(options.top_p * total, std::numeric_limits<double>::min());
    keep(likeliest(scratch.mass, Amount::kMass, wanted, scratch.candidates));
  }
  if (options.min_p > 0.0) keep({static_cast<float>(options.min_p), vocab_size_});
  return total;
}

std::optional<Draw> Sampler::draw_row(const DrawInput& row, Scratch& scratch) const {
  const SamplingOptions& options = row.options != nullptr ? *row.options : options_;
  const kernels::SamplePasses& passes = kernels::sample_passes();
  scratch.mass.resize(static_cast<std::size_t>(vocab_size_));
  scratch.candidates.resize(static_cast<std::size_t>(vocab_size_) + 16);
  scratch.block_sums.resize(static_cast<std::size_t>(kernels::mass_blocks(vocab_size_)));
  float* mass = scratch.mass.data();
  double* block_sums = scratch.block_sums.data();

  const kernels::RowMaximum policy = passes.maximum(row.policy_logits, vocab_size_);
  if (!policy.finite) return std::nullopt;
  double total =
      passes.exponentials(row.policy_logits, vocab_size_, policy.value, 1.0F, mass, block_sums);
  const double policy_normaliser = static_cast<double>(policy.value) + std::log(total);
  const auto result = [&](std::int64_t token, double logp_sampling) {
    const double logp = static_cast<double>(row.policy_logits[token]) - policy_normaliser;
    return Draw{static_cast<std::int32_t>(token), static_cast<float>(logp),
                static_cast<float>(logp_sampling),
                likeliest_tokens(row.policy_logits, vocab_size_, row.top, policy_normaliser)};
  };

  const float* scores = adjusted_scores(row, options, scratch);
  kernels::RowMaximum top = policy;
  if (scores != row.policy_logits) {
    top = passes.maximum(scores, vocab_size_);
    if (!top.finite) return std::nullopt;
  }
  if (options.temperature == 0)
    return result(std::find(scores, scores + vocab_size_, top.value) - scores, 0.0);

  const double scale = 1.0 / options.temperature;
  if (scores != row.policy_logits || scale != 1.0) {
    total = passes.exponentials(scores, vocab_size_, top.value, static_cast<float>(scale), mass,
                                block_sums);
  }
  total = filter(total, options, scratch);
  const std::int64_t token = inverse_cdf(scratch.mass, scratch.block_sums, row.uniform * total);
  const double distance = static_cast<double>(scores[token]) - static_cast<double>(top.value);
  return result(token, distance * scale - std::log(total));
}

}  // namespace plumb
