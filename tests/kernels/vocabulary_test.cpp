#include "kernels/vocabulary.hpp"

#include <ATen/TensorOperators.h>

#include <limits>

#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

double largest(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST_CASE("statistics and gradients of logits equal float64 formulas", "[unit]") {
  const std::int64_t size = GENERATE(1, 37, 5000);
  const double spread = GENERATE(1.0, 12.0);
  const std::int64_t rows = 5;
  const at::Tensor z = random_tensor({rows, size}, 1, spread),
                   q = random_tensor({rows, size}, 2, spread);
  const at::Tensor targets = random_tensor({rows}, 3).abs().mul(1000).to(at::kLong) % size;
  const at::Tensor logp = z.to(at::kDouble).log_softmax(1), logq = q.to(at::kDouble).log_softmax(1);
  const at::Tensor p = logp.exp(), onehot = (p * 0).scatter(1, targets.unsqueeze(1), 1.0);

  const LogitStatistics stats = logit_statistics(z, targets, true, true);
  CHECK(largest(stats.logsumexp, z.to(at::kDouble).logsumexp(1)) < 1e-5);
  CHECK(largest(stats.logprobs, logp.gather(1, targets.unsqueeze(1)).squeeze(1)) < 1e-5);
  CHECK(largest(stats.entropy, -(p * logp).sum(1)) < 2e-5);
  CHECK(largest(stats.square_logsum, (2 * logp).logsumexp(1)) < 1e-5);
  CHECK_FALSE(logit_statistics(z, targets, false, false).entropy.defined());

  const at::Tensor q_sum = logit_statistics(q, targets, false, false).logsumexp;
  CHECK(largest(kl_divergence(q, q_sum, z, stats.logsumexp), (logq.exp() * (logq - logp)).sum(1)) <
        1e-4 * spread);

  const at::Tensor g = random_tensor({rows}, 4), dkl = random_tensor({rows}, 5);
  const at::Tensor without = g.unsqueeze(1) * (onehot - p);
  const at::Tensor with = without + dkl.unsqueeze(1) * (p - logq.exp());
  CHECK(largest(logit_gradient(z, stats.logsumexp, targets, g, {}, {}, {}, at::kFloat), without) <
        1e-5);
  CHECK(largest(logit_gradient(z, stats.logsumexp, targets, g, dkl, q, q_sum, at::kFloat), with) <
        1e-5);
  CHECK(largest(logit_gradient(z, stats.logsumexp, targets, g, dkl, q, q_sum, at::kBFloat16),
                with) < 0x1p-8 * (1.0 + with.abs().max().item<double>()));
  CHECK(largest(portable::logit_gradient(z, stats.logsumexp, targets, g, dkl, q, q_sum, at::kFloat),
                with) < 1e-5);
}

TEST_CASE("logits that are not numbers or far apart stay what they are", "[unit]") {
  at::Tensor z = random_tensor({3, 20}, 1);
  z[0][3] = std::numeric_limits<float>::quiet_NaN();
  z[1].fill_(-std::numeric_limits<float>::infinity());
  z[1][5] = 2.0;
  z[2][7] = 1e30F;
  const at::Tensor targets = random_tensor({3}, 2).mul(0).to(at::kLong) + 5;
  const LogitStatistics stats = logit_statistics(z, targets, false, false);
  CHECK(std::isnan(stats.logprobs[0].item<double>()));
  CHECK(stats.logprobs[1].item<double>() == 0.0);
  CHECK(stats.logsumexp[2].item<float>() == 1e30F);
}

}  // namespace
}  // namespace plumb::kernels
