#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "losses/loss.hpp"
#include "losses/ops.hpp"

/// Batches for loss tests, all float64, and what a loss makes of them.
namespace plumb::test {

using Numbers = std::vector<double>;

at::Tensor vector(const Numbers& values);
Numbers numbers(const at::Tensor& tensor);

/// One summed log-prob per response: the first token carries it, all others are worth 0.
struct Sums {
  Numbers policy, reference;
  std::vector<std::int64_t> lengths;
};
PreferenceBatch batch_of_sums(const Sums& chosen, const Sums& rejected);
/// Gradient with respect to each response's summed log-prob.
Numbers sum_gradients(const ResponseSide& side);

/// Three pairs at the level of sums, the third with identical responses (beta 0.1: z = 0.1, -0.3,
/// 0).
PreferenceBatch fixture_sums();

/// A token to score: row of the logits that predicts it, and its id.
struct Pick {
  std::int64_t row, target;
};
using Picks = std::vector<std::vector<Pick>>;

/// Log-probs, KL(reference || policy) and log sum p^2 of the picked tokens. @param logits,
/// ref_logits [R, V]
/// @param picks tokens of each response, all chosen ones, then all rejected ones
PreferenceBatch batch_of_logits(const at::Tensor& logits, const at::Tensor& ref_logits,
                                const Picks& picks);

/// Nested lists of numbers as one flat list.
Numbers flat(const nlohmann::json& values);
/// [rows, V] leaf from nested lists [S, T, V].
at::Tensor logits_leaf(const nlohmann::json& values);
/// The tokens whose mask is set, in a list of sequences [S, T]; position t - 1 predicts token t.
Picks picks_of(const nlohmann::json& ids, const std::vector<std::vector<bool>>& mask);

/// One pair of 4 and 3 tokens over a vocabulary of 5: logits are W h for policy and reference.
struct HeadFixture {
  at::Tensor head;  // [5, 3] leaf
  PreferenceBatch batch;
};
HeadFixture fixture_head();

/// Every input of every loss, random but fixed by the seed; hard labels.
PreferenceBatch random_batch(std::int64_t pairs, unsigned seed);
PreferenceBatch slice(const PreferenceBatch& batch, std::int64_t begin, std::int64_t end);
PreferenceBatch swap(const PreferenceBatch& batch);

/// The loss as the trainer forms it: each term's weighted sum over its own divisor.
at::Tensor mean_loss(const PreferenceLoss& loss, const PreferenceBatch& batch);
struct Evaluation {
  double loss = 0.0;
  Numbers pair_loss, margin;
  std::map<std::string, double> metrics;  // means
};
/// Evaluates the loss once and fills the gradients of the batch's leaves.
Evaluation evaluate(const PreferenceLoss& loss, const PreferenceBatch& batch);

/// Leaves of a random batch that a loss may differentiate, by name.
std::vector<std::pair<std::string, at::Tensor>> leaves(const Needs& needs,
                                                       const PreferenceBatch& batch);
/// Largest difference between autograd and central differences over the given leaf.
double gradient_error(const PreferenceLoss& loss, const PreferenceBatch& batch, at::Tensor leaf);

struct Tolerance {
  double relative = 1e-10, absolute = 1e-12;
};
/// Empty if all finite wanted numbers are met, else what differs.
std::string difference(const Numbers& got, const Numbers& want, Tolerance tolerance = {});

}  // namespace plumb::test
