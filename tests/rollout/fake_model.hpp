#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <limits>
#include <map>

#include "core/error.hpp"
#include "core/rng.hpp"
#include "rollout/token_model.hpp"

namespace plumb::test {

/// A model whose logits are a hash of the whole sequence: cheap, and wrong as soon as rows, tokens
/// or prompts are mixed up.
class HashModel : public TokenModel {
 public:
  static constexpr std::int64_t kVocab = 40;
  static constexpr std::int64_t kContext = 100;

  struct Counts {
    std::size_t most_rows = 0, open_rows = 0, live_prompts = 0, prompts_run = 0, calls = 0;
  };
  /// @param poison  a sequence of this length gets a NaN; 0: none
  explicit HashModel(Counts& counts, std::size_t poison = 0) : counts_(counts), poison_(poison) {}

  /// Logits after `ids`, in [0, 4).
  static std::vector<float> logits_after(const std::vector<std::int32_t>& ids) {
    std::uint64_t state = 17;
    for (const std::int32_t id : ids) state = mix64(state ^ static_cast<std::uint64_t>(id + 1));
    std::vector<float> logits;
    for (std::int64_t v = 0; v < kVocab; ++v) {
      logits.push_back(static_cast<float>(mix64(state + static_cast<std::uint64_t>(v)) >> 40) *
                       0x1p-22F);
    }
    return logits;
  }

  std::int64_t vocab_size() const override { return kVocab; }
  void check(const RolloutRequest& request, std::int64_t max_new_tokens,
             const std::string& name) const override {
    if (static_cast<std::int64_t>(request.prompt_ids.size()) + max_new_tokens > kContext) {
      throw DataError(name + ": too long");
    }
  }
  std::vector<PrefixId> prefill(std::span<const RolloutRequest* const> requests,
                                NextLogits& logits) override {
    ++counts_.calls;
    std::vector<PrefixId> prefixes;
    std::vector<const std::vector<std::int32_t>*> sequences;
    for (const RolloutRequest* request : requests) {
      prefixes.push_back(next_id_);
      prompts_[next_id_] = request->prompt_ids;
      sequences.push_back(&prompts_[next_id_++]);
      ++counts_.prompts_run;
      ++counts_.live_prompts;
    }
    logits = logits_of(sequences);
    return prefixes;
  }
  RowId open_row(PrefixId prefix) override {
    rows_[next_id_] = prompts_.at(prefix);
    ++counts_.open_rows;
    return next_id_++;
  }
  void close_row(RowId row) override {
    if (rows_.erase(row) != 1) throw InternalError("row closed twice");
    --counts_.open_rows;
  }
  void release(PrefixId prefix) override {
    if (prompts_.erase(prefix) != 1) throw InternalError("prompt released twice");
    --counts_.live_prompts;
  }
  NextLogits step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) override {
    ++counts_.calls;
    counts_.most_rows = std::max(counts_.most_rows, rows.size());
    std::vector<const std::vector<std::int32_t>*> sequences;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::vector<std::int32_t>& ids = rows_.at(rows[i]);
      ids.push_back(tokens[i]);
      sequences.push_back(&ids);
    }
    return logits_of(sequences);
  }

 private:
  NextLogits logits_of(const std::vector<const std::vector<std::int32_t>*>& sequences) const {
    at::Tensor logits =
        at::empty({static_cast<std::int64_t>(sequences.size()), kVocab}, at::kFloat);
    float* out = logits.data_ptr<float>();
    for (const auto* ids : sequences) {
      const std::vector<float> row = logits_after(*ids);
      std::copy(row.begin(), row.end(), out);
      if (ids->size() == poison_) out[7] = std::numeric_limits<float>::quiet_NaN();
      out += kVocab;
    }
    return {logits, logits};
  }

  Counts& counts_;
  std::size_t poison_;
  RowId next_id_ = 0;
  std::map<PrefixId, std::vector<std::int32_t>> prompts_;
  std::map<RowId, std::vector<std::int32_t>> rows_;
};

}  // namespace plumb::test
