#pragma once
#include <optional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// Samples of an iteration belong to a suite: "train", or an evaluation suite such as "heldout" or
/// "heldout-t0.7".
struct SampleRow {
  std::int64_t id = 0, iteration_id = 0, prompt_id = 0;
  std::string suite = "train";
  std::int64_t k = 0;
  std::int64_t seed = 0;
  std::string source = "policy";              // policy, dataset, service, edited
  std::string finish_reason;                  // stop, length, error
  std::optional<std::int64_t> checkpoint_id;  // the model it was sampled from
  std::vector<std::int32_t> ids;
  std::vector<float> logp_policy;    // per token, untempered; may be empty for source = dataset
  std::vector<float> logp_sampling;  // per token, under the sampling distribution
  std::string text;
};
/// Must run inside of a transaction. @return id
std::int64_t add_sample(Database& db, const SampleRow& sample);
std::optional<SampleRow> find_sample(const Database& db, std::int64_t id);
/// Samples of a suite ordered by (order of the ids, k), with tokens and text.
std::vector<SampleRow> samples(const Database& db, std::int64_t iteration_id,
                               const std::string& suite);
/// Number of stored samples by prompt.
std::vector<std::pair<std::int64_t, std::int64_t>> sample_counts(const Database& db,
                                                                 std::int64_t iteration_id,
                                                                 const std::string& suite);

/// Log-probs of a sample's tokens under some checkpoint (a reference, the initial model, ...).
struct ReferenceLogps {
  std::int64_t sample_id = 0, checkpoint_id = 0;
  double total = 0;           // float64 sum
  std::vector<float> values;  // [n]
};
void add_reference_logps(Database& db, const ReferenceLogps& row);
std::optional<ReferenceLogps> find_reference_logps(const Database& db, std::int64_t sample_id,
                                                   std::int64_t checkpoint_id);

}  // namespace plumb::store
