#include "kernels/vocabulary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

double largest(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

constexpr WantedStatistics kAll{
    .entropy = true, .square_logsum = true, .divergence = true, .mean_logit = true};

/// Statistics of whole rows, taken in blocks of `block` words.
LogitStatistics statistics_of(const at::Tensor& logits, const at::Tensor& targets,
                              const at::Tensor& others, std::int64_t block, bool use_portable) {
  LogitStatistics statistics = start_statistics(logits.size(0), at::kCPU, kAll);
  for (std::int64_t first = 0; first < logits.size(1); first += block) {
    const std::int64_t count = std::min(block, logits.size(1) - first);
    const auto words = [&](const at::Tensor& all) {
      return all.narrow(1, first, count).contiguous();
    };
    (use_portable ? portable::add_logits : add_logits)(statistics, words(logits), first, targets,
                                                       words(others));
  }
  return statistics;
}

TEST_CASE("statistics of logits seen in blocks equal float64 formulas", "[unit]") {
  const std::int64_t size = GENERATE(1, 37, 5000), block = GENERATE(1000000, 1024, 7);
  const double spread = GENERATE(1.0, 12.0);
  const bool use_portable = GENERATE(false, true);
  CAPTURE(size, block, spread, use_portable);
  const std::int64_t rows = 3;
  const at::Tensor z = random_tensor({rows, size}, 1, spread),
                   p = random_tensor({rows, size}, 2, spread);
  const at::Tensor targets = random_tensor({rows}, 3).abs().mul(1000).to(at::kLong) % size;
  const at::Tensor logz = z.to(at::kDouble).log_softmax(1), logp = p.to(at::kDouble).log_softmax(1);

  const LogitStatistics stats = statistics_of(z, targets, p, block, use_portable);
  CHECK(largest(stats.logsumexp(), z.to(at::kDouble).logsumexp(1)) < 1e-5);
  CHECK(largest(stats.logprobs(), logz.gather(1, targets.unsqueeze(1)).squeeze(1)) < 1e-5);
  CHECK(largest(stats.entropy(), -(logz.exp() * logz).sum(1)) < 1e-5);
  CHECK(largest(stats.square_logsum(), (2 * logz).logsumexp(1)) < 1e-5);
  CHECK(largest(stats.mean_logit(size), z.to(at::kDouble).mean(1)) < 1e-6 * spread);
  CHECK(largest(stats.is_top(), z.argmax(1) == targets) == 0.0);
  const LogitStatistics other = statistics_of(p, targets, z, block, use_portable);
  CHECK(largest(stats.divergence_from(other), (logz.exp() * (logz - logp)).sum(1)) < 1e-5 * spread);
}

TEST_CASE("gradients of logits taken in blocks equal float64 formulas", "[unit]") {
  const std::int64_t size = GENERATE(1, 37, 5000);
  const double spread = GENERATE(1.0, 12.0);
  const bool use_portable = GENERATE(false, true);
  const std::int64_t rows = 5, block = 1024;
  const at::Tensor z = random_tensor({rows, size}, 1, spread),
                   q = random_tensor({rows, size}, 2, spread);
  const at::Tensor targets = random_tensor({rows}, 3).abs().mul(1000).to(at::kLong) % size;
  const at::Tensor p = z.to(at::kDouble).softmax(1),
                   onehot = (p * 0).scatter(1, targets.unsqueeze(1), 1.0);
  const at::Tensor g = random_tensor({rows}, 4), dkl = random_tensor({rows}, 5);
  const at::Tensor without = g.unsqueeze(1) * (onehot - p);
  const at::Tensor with = without + dkl.unsqueeze(1) * (p - q.to(at::kDouble).softmax(1));
  LogitGradient gradient{z.logsumexp(1), targets, g, {}, {}};
  const auto run = [&](at::ScalarType type) {
    at::Tensor all = at::zeros_like(z).to(type);
    for (std::int64_t first = 0; first < size; first += block) {
      const std::int64_t count = std::min(block, size - first);
      all.narrow(1, first, count)
          .copy_((use_portable ? portable::logit_gradient : logit_gradient)(
              gradient, z.narrow(1, first, count).contiguous(),
              q.narrow(1, first, count).contiguous(), first, type));
    }
    return all;
  };
  CHECK(largest(run(at::kFloat), without) < 1e-5);
  gradient.dkl = dkl;
  gradient.q_logsumexp = q.logsumexp(1);
  CHECK(largest(run(at::kFloat), with) < 1e-5);
  CHECK(largest(run(at::kBFloat16), with) < 0x1p-8 * (1.0 + with.abs().max().item<double>()));
}

TEST_CASE("logits that are not numbers or far apart stay what they are", "[unit]") {
  at::Tensor z = random_tensor({3, 20}, 1);
  z[0][3] = std::numeric_limits<float>::quiet_NaN();
  z[1].fill_(-std::numeric_limits<float>::infinity());
  z[1][5] = 2.0;
  z[2][7] = 1e30F;
  const at::Tensor targets = random_tensor({3}, 2).mul(0).to(at::kLong) + 5;
  LogitStatistics stats = start_statistics(3, at::kCPU, {});
  add_logits(stats, z.narrow(1, 0, 4).contiguous(), 0, targets);
  add_logits(stats, z.narrow(1, 4, 16).contiguous(), 4, targets);
  CHECK(std::isnan(stats.logprobs()[0].item<double>()));
  CHECK(stats.logprobs()[1].item<double>() == 0.0);
  CHECK(stats.logsumexp()[2].item<float>() == 1e30F);
  CHECK(stats.is_top()[1].item<float>() == 1.0F);
  CHECK(stats.is_top()[2].item<float>() == 0.0F);
  CHECK_FALSE(stats.weighted.defined());
  CHECK_FALSE(stats.sum.defined());
}

}  // namespace
}  // namespace plumb::kernels
