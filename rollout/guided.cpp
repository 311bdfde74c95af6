#include "rollout/guided.hpp"

#include <ATen/TensorOperators.h>

#include <numeric>

#include "core/error.hpp"

namespace plumb {
namespace {

double total_weight(std::span<const double> alphas) {
  return std::accumulate(alphas.begin(), alphas.end(), 1.0);
}

void check_weights(std::span<const double> alphas, bool normalize) {
  if (normalize && total_weight(alphas) <= 0) {
    throw UsageError(cat("guided decoding: the weights of base and guides sum to ",
                         total_weight(alphas), "; dividing by them needs a sum above 0"));
  }
}

void check_vocabulary(std::int64_t base, std::int64_t guide, std::size_t index) {
  if (guide < base) {
    throw UsageError(cat("guided decoding: guide ", index, " has a vocabulary of ", guide,
                         " tokens, the base model of ", base,
                         "; a guide must know every token of the base"));
  }
}

}  // namespace

at::Tensor combine_logits(const at::Tensor& base, std::span<const at::Tensor> guides,
                          std::span<const double> alphas, bool normalize) {
  expects(guides.size() == alphas.size(), "one weight a guide");
  check_weights(alphas, normalize);
  at::Tensor sum = base.clone();
  for (std::size_t i = 0; i < guides.size(); ++i) {
    check_vocabulary(base.size(1), guides[i].size(1), i);
    sum.add_(guides[i].narrow(1, 0, base.size(1)), alphas[i]);
  }
  return normalize ? sum.div_(total_weight(alphas)) : sum;
}

void check_same_vocabulary(const Tokenizer& base, const Tokenizer& guide,
                           const std::string& guide_name) {
  for (std::int32_t id = 0; id < base.vocab_size(); ++id) {
    const std::string theirs = id < guide.vocab_size() ? guide.piece(id) : "";
    if (base.piece(id) == theirs) continue;
    throw UsageError(cat("guided decoding: token ", id, " is \"", base.piece(id),
                         "\" for the base model and \"", theirs, "\" for ", guide_name,
                         "; a guide must share the base model's tokenizer"));
  }
}

GuidedModel::GuidedModel(const Decoder& base, std::vector<Guide> guides, bool normalize)
    : normalize_(normalize) {
  models_.push_back(std::make_unique<CachedDecoder>(base));
  configs_.push_back(&base.config());
  for (std::size_t i = 0; i < guides.size(); ++i) {
    check_vocabulary(base.config().vocab_size, guides[i].model->config().vocab_size, i);
    models_.push_back(std::make_unique<CachedDecoder>(*guides[i].model));
    configs_.push_back(&guides[i].model->config());
    alphas_.push_back(guides[i].alpha);
  }
  check_weights(alphas_, normalize);
}

const std::vector<std::int32_t>& GuidedModel::prompt_of(const RolloutRequest& request,
                                                        std::size_t model) {
  return model == 0 || request.guide_prompts.empty() ? request.prompt_ids
                                                     : request.guide_prompts[model - 1];
}

void GuidedModel::check(const RolloutRequest& request, std::int64_t max_new_tokens,
                        const std::string& name) const {
  if (!request.guide_prompts.empty() && request.guide_prompts.size() != alphas_.size()) {
    throw UsageError(cat(name, ": ", request.guide_prompts.size(), " guide prompts for ",
                         alphas_.size(), " guides; give one each, or none"));
  }
  for (std::size_t m = 0; m < models_.size(); ++m) {
    const std::string whose = m == 0 ? name : cat(name, ", guide ", m - 1);
    check_prompt(*configs_[m], prompt_of(request, m), max_new_tokens, whose);
  }
}

std::vector<TokenModel::PrefixId> GuidedModel::prefill(
    std::span<const RolloutRequest* const> requests, NextLogits& logits) {
  std::vector<std::vector<PrefixId>> handles(requests.size());  // of each request, by model
  std::vector<at::Tensor> all(models_.size());
  try {
    for (std::size_t m = 0; m < models_.size(); ++m) {
      std::vector<std::vector<std::int32_t>> prompts;
      for (const RolloutRequest* request : requests) prompts.push_back(prompt_of(*request, m));
      const std::vector<PrefixId> own = models_[m]->prefill(prompts, all[m]);
      for (std::size_t r = 0; r < requests.size(); ++r) handles[r].push_back(own[r]);
    }
  } catch (...) {
    for (const auto& own : handles) {
      for (std::size_t m = 0; m < own.size(); ++m) models_[m]->release(own[m]);
    }
    throw;
  }
  logits = combined(all);
  std::vector<PrefixId> prefixes;
  for (auto& own : handles) prefixes.push_back(prefixes_.add(std::move(own)));
  return prefixes;
}

TokenModel::RowId GuidedModel::open_row(PrefixId prefix) {
  std::vector<RowId> rows;
  for (std::size_t m = 0; m < models_.size(); ++m)
    rows.push_back(models_[m]->open_row(prefixes_.at(prefix)[m]));
  return rows_.add(std::move(rows));
}

void GuidedModel::close_row(RowId row) {
  for (std::size_t m = 0; m < models_.size(); ++m) models_[m]->close_row(rows_.at(row)[m]);
  rows_.remove(row);
}

void GuidedModel::release(PrefixId prefix) {
  for (std::size_t m = 0; m < models_.size(); ++m) models_[m]->release(prefixes_.at(prefix)[m]);
  prefixes_.remove(prefix);
}

NextLogits GuidedModel::step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) {
  std::vector<at::Tensor> all;
  std::vector<RowId> own(rows.size());
  for (std::size_t m = 0; m < models_.size(); ++m) {
    for (std::size_t r = 0; r < rows.size(); ++r) own[r] = rows_.at(rows[r])[m];
    all.push_back(models_[m]->step(own, tokens));
  }
  return combined(all);
}

NextLogits GuidedModel::combined(std::span<const at::Tensor> logits) const {
  std::vector<at::Tensor> on_cpu;
  for (const at::Tensor& rows : logits) on_cpu.push_back(rows.cpu());
  const std::span guides = std::span(on_cpu).subspan(1);
  return {combine_logits(on_cpu[0], guides, alphas_, normalize_), on_cpu[0]};
}

std::int32_t GuidedModel::Handles::add(std::vector<std::int32_t> of_models) {
  if (free_.empty()) {
    table_.emplace_back();
    free_.push_back(static_cast<std::int32_t>(table_.size()) - 1);
  }
  const std::int32_t handle = free_.back();
  free_.pop_back();
  table_[static_cast<std::size_t>(handle)] = std::move(of_models);
  return handle;
}

const std::vector<std::int32_t>& GuidedModel::Handles::at(std::int32_t handle) const {
  const std::vector<std::int32_t>& of_models = table_.at(static_cast<std::size_t>(handle));
  expects(!of_models.empty(), "a handle in use");
  return of_models;
}

void GuidedModel::Handles::remove(std::int32_t handle) {
  table_.at(static_cast<std::size_t>(handle)).clear();
  free_.push_back(handle);
}

}  // namespace plumb
