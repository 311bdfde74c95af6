#include "losses/f_divergence.hpp"

#include <cmath>
#include <numbers>

#include "core/error.hpp"
#include "losses/ops.hpp"

namespace plumb {

std::vector<std::string> f_divergence_names() {
  return {"reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"};
}

at::Tensor f_score(const std::string& name, const at::Tensor& u, double alpha) {
  constexpr double kLargestExponent = 80.0;
  if (name == "reverse_kl" || (name == "alpha_divergence" && std::abs(alpha - 1.0) < 1e-6)) {
    return u;
  }
  // exp(x) - 1 rather than expm1: the gradient of expm1 is computed from its value and loses e^x
  // far below 0.
  if (name == "forward_kl") return 1.0 - (-u).exp();
  if (name == "js_divergence") return at::log_sigmoid(u) + std::numbers::ln2;
  expects(name == "alpha_divergence", "the name of an f-divergence");
  return ((u * (alpha - 1.0)).clamp_max(kLargestExponent).exp() - 1.0) / (alpha - 1.0);
}

}  // namespace plumb
