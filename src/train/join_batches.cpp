#include "train/join_batches.hpp"

#include <ATen/ops/cat.h>

namespace plumb {
namespace {

at::Tensor join(const std::vector<PreferenceBatch>& parts, ResponseSide PreferenceBatch::*side,
                at::Tensor ResponseSide::*member) {
  std::vector<at::Tensor> all;
  for (const PreferenceBatch& part : parts) all.push_back((part.*side).*member);
  return all.front().defined() ? at::cat(all) : at::Tensor();
}

ResponseSide join_side(const std::vector<PreferenceBatch>& parts,
                       ResponseSide PreferenceBatch::*side) {
  ResponseSide out;
  out.offsets = {0};
  for (const PreferenceBatch& part : parts) {
    const std::vector<std::int64_t>& offsets = (part.*side).offsets;
    const std::int64_t base = out.offsets.back();
    for (std::size_t i = 1; i < offsets.size(); ++i) out.offsets.push_back(base + offsets[i]);
  }
  for (const auto member : {&ResponseSide::logps, &ResponseSide::ref_logps, &ResponseSide::kl,
                            &ResponseSide::square_logsum, &ResponseSide::token_rewards,
                            &ResponseSide::span_mask, &ResponseSide::reward}) {
    out.*member = join(parts, side, member);
  }
  return out;
}

}  // namespace

PreferenceBatch join_batches(const std::vector<PreferenceBatch>& parts) {
  PreferenceBatch out;
  out.chosen = join_side(parts, &PreferenceBatch::chosen);
  out.rejected = join_side(parts, &PreferenceBatch::rejected);
  if (parts.front().baseline.logps.defined())
    out.baseline = join_side(parts, &PreferenceBatch::baseline);
  out.progress = parts.front().progress;
  std::vector<at::Tensor> labels, prompt_nll, history;
  for (const PreferenceBatch& part : parts) {
    labels.push_back(part.label);
    if (part.prompt_nll.defined()) prompt_nll.push_back(part.prompt_nll);
    if (part.history.defined()) history.push_back(part.history);
    out.prompt_lengths.insert(out.prompt_lengths.end(), part.prompt_lengths.begin(),
                              part.prompt_lengths.end());
  }
  out.label = at::cat(labels);
  if (!prompt_nll.empty()) out.prompt_nll = at::cat(prompt_nll);
  if (!history.empty()) out.history = at::cat(history);
  return out;
}

std::vector<at::Tensor*> differentiable(PreferenceBatch& batch) {
  std::vector<at::Tensor*> all{&batch.chosen.logps, &batch.rejected.logps, &batch.chosen.kl,
                               &batch.rejected.kl,  &batch.baseline.logps, &batch.prompt_nll};
  std::erase_if(all, [](const at::Tensor* tensor) { return !tensor->defined(); });
  return all;
}

}  // namespace plumb
