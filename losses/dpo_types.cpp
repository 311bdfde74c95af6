#include "losses/dpo_types.hpp"

#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sort.h>

#include <array>
#include <cmath>
#include <tuple>

#include "core/error.hpp"
#include "losses/dpo.hpp"
#include "losses/ops.hpp"

namespace plumb {
namespace {

using at::Tensor;

Tensor z(const PairScores& s, const DpoOptions& o) { return (s.fa - s.fb * o.dpo_lambda) * o.beta; }

Tensor length_normalised(const PairScores& s) { return s.fa / s.n_w - s.fb / s.n_l; }

Tensor smoothed(const Tensor& z, double e) { return log1p_exp(-z) * (1.0 - e) + log1p_exp(z) * e; }

Tensor sigmoid(const PairScores& s, const DpoOptions& o) { return log1p_exp(-z(s, o)); }

Tensor hinge(const PairScores& s, const DpoOptions& o) { return (1.0 - z(s, o)).relu(); }

Tensor ipo(const PairScores& s, const DpoOptions& o) {
  return (length_normalised(s) - 0.5 / o.beta).square();
}

Tensor exo_pair(const PairScores& s, const DpoOptions& o) {
  const Tensor x = z(s, o), q = at::sigmoid(x);
  const double e = o.label_smoothing;
  return q * (-log1p_exp(-x) - std::log1p(-e)) + (1.0 - q) * (-log1p_exp(x) - std::log(e));
}

Tensor nca_pair(const PairScores& s, const DpoOptions& o) {
  const Tensor chosen = s.a * o.beta, rejected = s.b * o.beta;
  return log1p_exp(-chosen) + (log1p_exp(chosen) + log1p_exp(rejected)) * 0.5;
}

Tensor robust(const PairScores& s, const DpoOptions& o) {
  const Tensor x = z(s, o);
  const double e = o.label_smoothing;
  return (log1p_exp(-x) * (1.0 - e) - log1p_exp(x) * e) / (1.0 - 2.0 * e);
}

Tensor bco_pair(const PairScores& s, const DpoOptions& o) {
  return log1p_exp(-(s.a * o.beta)) + log1p_exp(s.b * o.beta);
}

Tensor sppo_hard(const PairScores& s, const DpoOptions& o) {
  return (s.a - 0.5 / o.beta).square() + (s.b + 0.5 / o.beta).square();
}

Tensor sorted(const Tensor& values) { return std::get<0>(at::sort(values)); }

Tensor aot(const PairScores& s, const DpoOptions& o) {
  const Tensor gaps = sorted(s.policy_w - s.policy_l) - sorted(s.ref_w - s.ref_l);
  return smoothed(gaps * o.beta, o.label_smoothing);
}

Tensor aot_unpaired(const PairScores& s, const DpoOptions& o) {
  return smoothed((sorted(s.a) - sorted(s.b)) * o.beta, o.label_smoothing);
}

Tensor apo_zero(const PairScores& s, const DpoOptions& o) {
  return 1.0 - at::sigmoid(s.a * o.beta) + at::sigmoid(s.b * o.beta);
}

Tensor apo_down(const PairScores& s, const DpoOptions& o) {
  return at::sigmoid(s.a * o.beta) + 1.0 - at::sigmoid((s.a - s.b) * o.beta);
}

Tensor discopop(const PairScores& s, const DpoOptions& o) {
  const Tensor x = z(s, o), blend = at::sigmoid(x / o.discopop_tau);
  return log1p_exp(-x) * (1.0 - blend) + (-x).exp() * blend;
}

Tensor sft(const PairScores& s, const DpoOptions&) { return s.nll_w; }

Tensor sigmoid_norm(const PairScores& s, const DpoOptions& o) {
  return log1p_exp(-(length_normalised(s) * o.beta));
}

Tensor cdpo(const PairScores& s, const DpoOptions& o) {
  return smoothed(z(s, o), o.label_smoothing);
}

Tensor ipo_sum(const PairScores& s, const DpoOptions& o) {
  return (s.fa - s.fb * o.dpo_lambda - 0.5 / o.beta).square();
}

constexpr std::array kTypes{
    DpoType{.name = "sigmoid", .source = "2305.18290", .values = sigmoid, .reads_z = true},
    DpoType{.name = "hinge", .source = "2309.06657", .values = hinge, .reads_z = true},
    DpoType{.name = "ipo", .source = "2310.12036", .values = ipo},
    DpoType{.name = "exo_pair",
            .source = "2402.00856",
            .values = exo_pair,
            .reads_z = true,
            .reads_smoothing = true},
    DpoType{.name = "nca_pair", .source = "2402.05369", .values = nca_pair},
    DpoType{.name = "robust",
            .source = "2403.00409",
            .values = robust,
            .reads_z = true,
            .reads_smoothing = true},
    DpoType{.name = "bco_pair", .source = "2404.04656", .values = bco_pair},
    DpoType{.name = "sppo_hard", .source = "2405.00675", .values = sppo_hard},
    DpoType{.name = "aot",
            .source = "2406.05882",
            .values = aot,
            .reads_smoothing = true,
            .coupled = true},
    DpoType{.name = "aot_unpaired",
            .source = "2406.05882",
            .values = aot_unpaired,
            .reads_smoothing = true,
            .coupled = true},
    DpoType{.name = "apo_zero", .source = "2408.06266", .values = apo_zero},
    DpoType{.name = "apo_down", .source = "2408.06266", .values = apo_down},
    DpoType{.name = "discopop", .source = "2406.08414", .values = discopop, .reads_z = true},
    DpoType{.name = "sft", .source = "", .values = sft, .imitates = true},
    DpoType{.name = "sigmoid_norm", .source = "2411.15124", .values = sigmoid_norm},
    DpoType{.name = "cdpo",
            .source = "2305.18290",
            .values = cdpo,
            .reads_z = true,
            .reads_smoothing = true},
    DpoType{.name = "ipo_sum", .source = "2310.12036", .values = ipo_sum, .reads_z = true},
};

}  // namespace

PairScores swapped(const PairScores& s) {
  return {.policy_w = s.policy_l,
          .policy_l = s.policy_w,
          .ref_w = s.ref_l,
          .ref_l = s.ref_w,
          .a = s.b,
          .b = s.a,
          .fa = s.fb,
          .fb = s.fa,
          .n_w = s.n_l,
          .n_l = s.n_w,
          .nll_w = s.nll_w};
}

std::span<const DpoType> dpo_types() { return kTypes; }

std::vector<std::string> dpo_type_names() {
  std::vector<std::string> names;
  for (const DpoType& type : kTypes) names.emplace_back(type.name);
  return names;
}

const DpoType& find_dpo_type(std::string_view name) {
  for (const DpoType& type : kTypes) {
    if (type.name == name) return type;
  }
  throw InternalError(cat("unknown DPO loss type ", name));
}

}  // namespace plumb
