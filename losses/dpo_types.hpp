#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "losses/loss.hpp"

/// The loss types of the DPO family (TRL's names) as functions of a few numbers per pair.
namespace plumb {

struct DpoOptions;

/// What a loss type may read of the pairs. All [B] float64.
struct PairScores {
  at::Tensor policy_w, policy_l;  // S: summed policy log-probs
  at::Tensor ref_w, ref_l;        // R: summed reference log-probs, no gradient
  at::Tensor a, b;                // log-ratios S - R
  at::Tensor fa, fb;              // their f-divergence scores
  at::Tensor n_w, n_l;            // response lengths, no gradient
  at::Tensor nll_w;               // summed NLL of the chosen response, not length-desensitised
};

/// The same pairs with chosen and rejected exchanged (nll_w keeps its meaning: the text that is
/// imitated).
PairScores swapped(const PairScores& scores);

struct DpoType {
  std::string_view name;
  std::string_view source;                                     // arXiv number
  at::Tensor (*values)(const PairScores&, const DpoOptions&);  // [B]
  bool reads_z = false;  // a function of z = beta (f(a) - lambda f(b)), so lambda has a meaning
  bool reads_smoothing = false;
  bool coupled = false;  // sorts over the pairs of a step
  bool imitates =
      false;  // NLL of the chosen response per token: neither labels nor pair weights apply
};

/// All loss types, in TRL's order, then ours.
std::span<const DpoType> dpo_types();
std::vector<std::string> dpo_type_names();
/// Throws InternalError for an unknown name: option parsing has checked it.
const DpoType& find_dpo_type(std::string_view name);

}  // namespace plumb
