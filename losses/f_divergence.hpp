#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace plumb {

/// Names of the f-divergences that DPO can be regularised with.
std::vector<std::string> f_divergence_names();

/// Score f(u) of a log-ratio u = log(policy / reference), shifted so that f(0) = 0
/// (arXiv:2309.16240; TRL 1.16 uses the same shift, which matters to losses that divide by length):
///
///   reverse_kl        u
///   forward_kl        1 - e^-u                     overflows below u = -709
///   js_divergence     log 2 + log sigmoid(u)
///   alpha_divergence  (e^((A-1) u) - 1) / (A-1)    exponent clamped at 80; A = 1 is reverse_kl
///
/// @param u [B] nats  @param alpha A  @return [B]
at::Tensor f_score(const std::string& name, const at::Tensor& u, double alpha);

}  // namespace plumb
