#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/rng.hpp"
#include "rollout/request.hpp"
#include "rollout/sampler.hpp"
#include "rollout/stop.hpp"
#include "rollout/token_model.hpp"

namespace plumb {

/// What stays the same for all samples of one call.
struct GenerationPlan {
  const RequestSource& next;
  const SamplingOptions& sampling;  // of requests without their own
  std::span<const std::int32_t> end_ids;
  std::uint64_t seed, iteration;
  std::int64_t max_rows;
  const std::function<void(RolloutResponse&&)>& done;
  const std::function<bool(const RolloutResponse&)>& token;  // may be empty
};

/// The scheduler: keeps up to max_rows rows of a model running until every sample of every request
/// is done and no further request comes. Prompts start in order; a group of them is run when the
/// samples of the earlier ones no longer fill the rows. Gives all rows and prompts back to the
/// model, also when an exception ends it.
class Generation {
 public:
  Generation(TokenModel& model, const Tokenizer& tokenizer, const GenerationPlan& plan);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  RolloutStats run();

 private:
  struct Sample {
    RolloutResponse response;
    const RolloutRequest* request;
    const SamplingOptions* sampling;
    std::int64_t limit;  // tokens
    RandomStream stream;
    StopWatch stop;
    TokenModel::PrefixId prefix;
    TokenModel::RowId row = -1;
  };
  struct Prompt {
    TokenModel::PrefixId prefix;
    std::int64_t waiting;  // samples that have no row yet
  };

  void fill_rows();
  /// Whether a request waits in upcoming_.
  bool has_request();
  void run_prompts();
  void open(Sample&& sample);
  void step();
  Sample make_sample(const RolloutRequest& request, std::size_t number, std::int64_t k,
                     TokenModel::PrefixId prefix) const;
  /// Draws the next token of each sample. @param logit_rows row of `logits` of each sample
  void draw(std::span<Sample> samples, std::span<const std::int64_t> logit_rows,
            const NextLogits& logits);
  bool is_finished(Sample& sample) const;
  void leave_prompt(TokenModel::PrefixId prefix);

  TokenModel& model_;
  const Tokenizer& tokenizer_;
  const GenerationPlan& plan_;
  Sampler sampler_;
  RolloutStats stats_;
  const RolloutRequest* upcoming_ = nullptr;  // taken from the source, not run yet
  std::size_t started_ = 0;                   // requests
  std::deque<Sample> ready_;                  // first token drawn, no row yet
  std::vector<Sample> running_;               // one row each
  std::vector<Prompt> prompts_;               // with waiting samples
  // Reused from step to step.
  std::vector<TokenModel::RowId> rows_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::int64_t> logit_rows_;
  std::vector<DrawInput> inputs_;
  std::vector<std::optional<Draw>> drawn_;
};

}  // namespace plumb
