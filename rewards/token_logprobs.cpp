#include "rewards/token_logprobs.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "core/error.hpp"
#include "tensor/ragged.hpp"

namespace plumb {
namespace {

constexpr std::int64_t kChunkRows = 128;

/// Neighbouring continuations with their prompts, each distinct prompt once.
class Batch {
 public:
  bool takes(const Continuation& next, std::int64_t budget) const {
    const std::size_t prompt = prompts_.contains(next.prompt) ? 0 : next.prompt.size();
    return builder_.tokens() == 0 ||
           builder_.tokens() + static_cast<std::int64_t>(prompt + next.response.size()) <= budget;
  }
  void add(const Continuation& next) {
    auto prompt = prompts_.find(next.prompt);
    if (prompt == prompts_.end()) {
      prompt = prompts_.emplace(next.prompt, builder_.add(next.prompt)).first;
    }
    builder_.want_logprobs(builder_.add(next.response, prompt->second));
  }
  RaggedBatch tokens(at::Device device) const { return builder_.batch(device); }
  TokenRows rows(at::Device device) const { return builder_.rows(device); }

 private:
  RaggedBuilder builder_;
  std::map<std::vector<std::int32_t>, std::int64_t> prompts_;
};

using RowValues = std::function<at::Tensor(const RaggedBatch& batch, const TokenRows& rows)>;

/// Calls `values` for batches of the continuations and cuts its [R] results into lists.
TokenValues by_batches(std::span<const Continuation> continuations, at::Device device,
                       std::int64_t budget, const RowValues& values) {
  TokenValues out;
  for (std::size_t next = 0; next < continuations.size();) {
    Batch batch;
    while (next < continuations.size() && batch.takes(continuations[next], budget)) {
      batch.add(continuations[next++]);
    }
    const TokenRows rows = batch.rows(device);
    const at::Tensor result = values(batch.tokens(device), rows).cpu().to(at::kFloat).contiguous();
    const float* data = result.const_data_ptr<float>();
    for (std::size_t i = 0; i + 1 < rows.offsets.size(); ++i) {
      out.emplace_back(data + rows.offsets[i], data + rows.offsets[i + 1]);
    }
  }
  return out;
}

/// Joins results of pieces of the rows, so that no [R, V] tensor is ever held.
at::Tensor by_chunks(
    std::int64_t rows, const at::Tensor& like,
    const std::function<at::Tensor(std::int64_t begin, std::int64_t size)>& values) {
  at::Tensor out = like.new_empty({rows}, like.options().dtype(at::kFloat));
  for (std::int64_t begin = 0; begin < rows; begin += kChunkRows) {
    const std::int64_t size = std::min(kChunkRows, rows - begin);
    out.narrow(0, begin, size).copy_(values(begin, size));
  }
  return out;
}

}  // namespace

at::Tensor cut_log_softmax(const at::Tensor& logits, std::int64_t vocab) {
  expects(vocab >= 1 && logits.size(-1) >= vocab, "at least the ids of the shared vocabulary");
  return logits.narrow(-1, 0, vocab).to(at::kFloat).log_softmax(-1);
}

at::Tensor expected_rows(const at::Tensor& base, const at::Tensor& arm) {
  return base.exp().mul(arm).sum(-1);
}

TokenValues token_logprobs(const Decoder& model, std::span<const Continuation> continuations,
                           std::int64_t vocab, std::int64_t batch_tokens) {
  const bool whole = vocab == model.config().vocab_size;
  return by_batches(
      continuations, model.device(), batch_tokens,
      [&](const RaggedBatch& batch, const TokenRows& rows) {
        if (whole) return model.token_stats(batch, rows).logprobs;
        const at::Tensor hidden = model.hidden(batch).index_select(0, rows.rows);
        return by_chunks(hidden.size(0), hidden, [&](std::int64_t begin, std::int64_t size) {
          const at::Tensor logs =
              cut_log_softmax(model.logits(hidden.narrow(0, begin, size)), vocab);
          return logs.gather(1, rows.targets.narrow(0, begin, size).unsqueeze(1)).squeeze(1);
        });
      });
}

TokenValues expected_logprobs(const Decoder& base, const Decoder& arm,
                              std::span<const Continuation> continuations, std::int64_t vocab,
                              std::int64_t batch_tokens) {
  return by_batches(
      continuations, base.device(), batch_tokens,
      [&](const RaggedBatch& batch, const TokenRows& rows) {
        const at::Tensor of_base = base.hidden(batch).index_select(0, rows.rows);
        const at::Tensor of_arm = arm.hidden(batch).index_select(0, rows.rows);
        return by_chunks(of_base.size(0), of_base, [&](std::int64_t begin, std::int64_t size) {
          return expected_rows(cut_log_softmax(base.logits(of_base.narrow(0, begin, size)), vocab),
                               cut_log_softmax(arm.logits(of_arm.narrow(0, begin, size)), vocab));
        });
      });
}

}  // namespace plumb
