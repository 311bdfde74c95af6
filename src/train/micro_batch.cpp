#include "train/micro_batch.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/tensor.h>

#include <functional>

#include "core/error.hpp"

namespace plumb {
namespace {

template <class Value, class Values>
at::Tensor flat(const std::vector<Value>& values, at::ScalarType type, const Values& like) {
  return at::tensor(values, at::TensorOptions().dtype(type)).to(like.device());
}

/// One value per response token of all pairs, end to end.
at::Tensor per_token(std::span<const TrainingPair* const> pairs,
                     TrainingPair::Side TrainingPair::*side,
                     std::vector<float> TrainingPair::Side::*values, const at::Tensor& like,
                     const char* what) {
  std::vector<float> all;
  for (const TrainingPair* pair : pairs) {
    const std::vector<float>& one = (pair->*side).*values;
    if (one.size() != (pair->*side).ids.size()) {
      throw DataError(cat("pair ", pair->id, ": holds ", one.size(), " ", what, " for ",
                          (pair->*side).ids.size(), " response tokens"));
    }
    all.insert(all.end(), one.begin(), one.end());
  }
  return flat(all, at::kFloat, like);
}

at::Tensor span_mask(std::span<const TrainingPair* const> pairs,
                     TrainingPair::Side TrainingPair::*side, const at::Tensor& like) {
  std::vector<std::uint8_t> mask;
  for (const TrainingPair* pair : pairs) {
    const TrainingPair::Side& one = pair->*side;
    std::vector<std::uint8_t> own(one.ids.size(), 0);
    for (const auto& [begin, end] : one.spans) {
      if (begin < 0 || end < begin || end > static_cast<std::int64_t>(own.size())) {
        throw DataError(cat("pair ", pair->id, ": span ", begin, "..", end, " lies outside of ",
                            own.size(), " response tokens"));
      }
      std::fill(own.begin() + begin, own.begin() + end, std::uint8_t{1});
    }
    mask.insert(mask.end(), own.begin(), own.end());
  }
  return flat(mask, at::kByte, like).to(at::kBool);
}

/// One sequence a pair, from `first_sequence` on: its policy log-probs.
ResponseSide logps_side(const MicroBatch& micro, const TokenStats& stats,
                        std::int64_t first_sequence) {
  const auto pairs = static_cast<std::int64_t>(micro.pairs.size());
  const std::int64_t begin = micro.rows.offsets[first_sequence];
  ResponseSide out;
  for (std::int64_t i = 0; i <= pairs; ++i)
    out.offsets.push_back(micro.rows.offsets[first_sequence + i] - begin);
  out.logps = stats.logprobs.narrow(0, begin, out.offsets.back());
  return out;
}

ResponseSide make_side(const MicroBatch& micro, const TokenStats& stats, const Needs& needs,
                       TrainingPair::Side TrainingPair::*side, std::int64_t first_sequence) {
  ResponseSide out = logps_side(micro, stats, first_sequence);
  const auto part = [&](const at::Tensor& values) {
    return values.defined()
               ? values.narrow(0, micro.rows.offsets[first_sequence], out.offsets.back())
               : at::Tensor();
  };
  out.kl = part(stats.kl);
  out.square_logsum = part(stats.square_logsum);
  if (needs.reference)
    out.ref_logps = per_token(micro.pairs, side, &TrainingPair::Side::ref_logps, out.logps,
                              "reference log-probs");
  if (needs.token_rewards)
    out.token_rewards = per_token(micro.pairs, side, &TrainingPair::Side::token_rewards, out.logps,
                                  "token rewards");
  if (needs.spans) out.span_mask = span_mask(micro.pairs, side, out.logps);
  if (needs.rewards) {
    std::vector<float> rewards;
    for (const TrainingPair* pair : micro.pairs)
      rewards.push_back(static_cast<float>((pair->*side).reward));
    out.reward = flat(rewards, at::kFloat, out.logps);
  }
  return out;
}

}  // namespace

std::vector<std::span<const TrainingPair* const>> cut_by_tokens(
    std::span<const TrainingPair* const> pairs, std::int64_t token_budget) {
  std::vector<std::span<const TrainingPair* const>> groups;
  std::size_t begin = 0;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (i > begin && tokens + pairs[i]->tokens() > token_budget) {
      groups.push_back(pairs.subspan(begin, i - begin));
      begin = i;
      tokens = 0;
    }
    tokens += pairs[i]->tokens();
  }
  if (begin < pairs.size()) groups.push_back(pairs.subspan(begin));
  return groups;
}

MicroBatch make_micro_batch(std::span<const TrainingPair* const> pairs, const Needs& needs,
                            at::Device device) {
  constexpr std::int64_t kNone = -1;
  RaggedBuilder builder;
  std::vector<std::int64_t> prompts, chosen, rejected, baseline;
  const auto add = [&](const std::vector<std::int32_t>& ids) {
    return ids.empty() ? kNone : builder.add(ids, prompts.back());
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const TrainingPair& pair = *pairs[i];
    expects(!pair.prompt.empty() && !pair.chosen.ids.empty(),
            "a prompt and a chosen response of at least one token");
    const bool same_prompt = i > 0 && pairs[i - 1]->prompt == pair.prompt;
    prompts.push_back(same_prompt ? prompts.back() : builder.add(pair.prompt));
    chosen.push_back(add(pair.chosen.ids));
    rejected.push_back(add(pair.rejected.ids));
    if (needs.baseline) baseline.push_back(add(pair.baseline));
  }
  for (const auto* side : {&chosen, &rejected, &baseline}) {
    for (const std::int64_t segment : *side)
      segment == kNone ? builder.want_nothing() : builder.want_logprobs(segment);
  }
  if (needs.prompt_nll) {
    for (const std::int64_t segment : prompts) builder.want_logprobs(segment);
  }
  return {pairs, builder.batch(device), builder.rows(device)};
}

TokenStatsRequest make_stats_request(const MicroBatch& micro, const Needs& needs,
                                     const Decoder* reference) {
  TokenStatsRequest request;
  request.entropy = request.mean_logit = request.is_top = true;
  request.square_logsum = needs.square_logsum;
  if (needs.kl) {
    expects(reference != nullptr, "a live reference model for a loss that needs the KL");
    const at::NoGradGuard no_grad;
    request.reference = reference;
    request.reference_hidden = at::index_select(reference->hidden(micro.batch), 0, micro.rows.rows);
  }
  return request;
}

PreferenceBatch make_preference_batch(const MicroBatch& micro, const TokenStats& stats,
                                      const Needs& needs) {
  const auto pairs = static_cast<std::int64_t>(micro.pairs.size());
  PreferenceBatch batch;
  batch.chosen = make_side(micro, stats, needs, &TrainingPair::chosen, 0);
  batch.rejected = make_side(micro, stats, needs, &TrainingPair::rejected, pairs);
  if (needs.baseline) batch.baseline = logps_side(micro, stats, 2 * pairs);
  std::vector<float> labels;
  for (const TrainingPair* pair : micro.pairs) {
    labels.push_back(static_cast<float>(pair->label));
    batch.prompt_lengths.push_back(static_cast<std::int64_t>(pair->prompt.size()));
  }
  batch.label = flat(labels, at::kFloat, stats.logprobs);
  if (needs.prompt_nll) {
    const ResponseSide prompts = logps_side(micro, stats, (needs.baseline ? 3 : 2) * pairs);
    batch.prompt_nll = at::neg(segment_sum(prompts.logps, prompts.offsets));
  }
  return batch;
}

}  // namespace plumb
