#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>

#include "model/decoder.hpp"
#include "model/plain_decoder.hpp"
#include "model/token_stats.hpp"
#include "support/tiny_model.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using kernels::Precision;
using test::random_ids;
using Ids = std::vector<std::int32_t>;

/// Two prompts, the first with three responses and the second with one.
struct Work {
  std::vector<std::pair<Ids, std::vector<Ids>>> groups;

  explicit Work(const ModelConfig& config) {
    groups = {{random_ids(config, 7, 1),
               {random_ids(config, 12, 2), random_ids(config, 1, 3), random_ids(config, 5, 4)}},
              {random_ids(config, 20, 5), {random_ids(config, 9, 6)}}};
  }
};

struct Pass {
  RaggedBatch batch;
  TokenRows rows;
};

/// @param first, last groups taken   @param shared prompts shared or repeated
Pass make_pass(const Work& work, std::size_t first, std::size_t last, bool shared) {
  RaggedBuilder builder;
  for (std::size_t g = first; g < last; ++g) {
    const auto& [prompt, responses] = work.groups[g];
    std::int64_t prefix = -1;
    for (const Ids& response : responses) {
      if (prefix < 0 || !shared) prefix = builder.add(prompt);
      builder.want_logprobs(builder.add(response, prefix));
    }
  }
  return {builder.batch(), builder.rows()};
}

/// Fixed weights of the log-probs in the test's loss, some negative.
at::Tensor coefficients(std::int64_t count, std::uint64_t seed) {
  return test::random_tensor({count}, 100 + seed);
}

/// Adds the gradients of sum(coefficient * logprob) (+ sum(coefficient * kl)) of a pass. @return
/// the loss
double backward(const Decoder& model, const Pass& pass, const at::Tensor& weights,
                const Decoder* reference = nullptr) {
  TokenStatsRequest request;
  if (reference != nullptr) {
    const at::NoGradGuard no_grad;
    request.reference = reference;
    request.reference_hidden = reference->hidden(pass.batch).index_select(0, pass.rows.rows);
  }
  const TokenStats stats = model.token_stats(pass.batch, pass.rows, request);
  at::Tensor loss = (stats.logprobs * weights).sum();
  if (reference != nullptr) loss = loss + (stats.kl * weights.abs()).sum();
  loss.backward();
  return loss.item<double>();
}

TensorMap gradients(Decoder& model) {
  TensorMap map;
  for (const NamedParameter& parameter : model.parameters())
    map[parameter.name] = parameter.gradient.clone();
  return map;
}

/// Largest difference of any gradient, relative to the largest entry of that tensor's gradient.
double difference(const TensorMap& a, const TensorMap& b) {
  double worst = 0.0;
  REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    const double size = b.at(name).abs().max().item<double>();
    const double error =
        (tensor.to(at::kDouble) - b.at(name)).abs().max().item<double>() / (size + 1e-12);
    UNSCOPED_INFO(name << " " << error);
    worst = std::max(worst, error);
  }
  return worst;
}

std::vector<ModelConfig> variants() {
  ModelConfig plain = test::tiny_config(), qwen2 = test::tiny_config(), qwen3 = test::tiny_config();
  qwen2.qkv_bias = true;
  qwen2.output_bias = true;
  qwen2.tie_word_embeddings = false;
  qwen3.qk_norm = true;
  qwen3.head_dim = 24;
  return {plain, qwen2, qwen3};
}

/// Gradients of the same loss by torch's own differentiation of the plain model, float64.
TensorMap plain_gradients(const ModelConfig& config, const TensorMap& start, const Work& work,
                          const at::Tensor& weights, const TensorMap* reference) {
  TensorMap leaves, reference64;
  for (const auto& [name, tensor] : start)
    leaves[name] = tensor.to(at::kDouble).requires_grad_(true);
  if (reference != nullptr) {
    for (const auto& [name, tensor] : *reference) reference64[name] = tensor.to(at::kDouble);
  }
  at::Tensor loss = at::tensor(0.0, at::kDouble);
  std::int64_t at = 0;
  for (const auto& [prompt, responses] : work.groups) {
    for (const Ids& response : responses) {
      const auto count = static_cast<std::int64_t>(response.size());
      const at::Tensor weight = weights.narrow(0, at, count).to(at::kDouble);
      const std::vector<std::int64_t> targets(response.begin(), response.end());
      const at::Tensor logp = test::plain_response_logprobs(config, leaves, prompt, response);
      loss =
          loss +
          (logp.gather(1, at::tensor(targets, at::kLong).unsqueeze(1)).squeeze(1) * weight).sum();
      if (reference != nullptr) {
        const at::Tensor logq =
            test::plain_response_logprobs(config, reference64, prompt, response);
        loss = loss + ((logq.exp() * (logq - logp)).sum(1) * weight.abs()).sum();
      }
      at += count;
    }
  }
  loss.backward();
  TensorMap gradients;
  for (const auto& [name, leaf] : leaves) gradients[name] = leaf.grad();
  return gradients;
}

TEST_CASE("gradients of every weight equal torch's own on a plain model", "[unit]") {
  for (const ModelConfig& config : variants()) {
    const TensorMap weights = test::random_weights(config), other = test::random_weights(config, 2);
    const Work work(config);
    const Pass pass = make_pass(work, 0, 2, true);
    const at::Tensor coefficient = coefficients(pass.rows.rows.size(0), 0);
    const bool with_kl = GENERATE(false, true);
    CAPTURE(with_kl, config.qk_norm, config.qkv_bias);
    Decoder model(config, weights, Precision::kFloat32, true);
    const Decoder reference(config, other, Precision::kFloat32, false);
    backward(model, pass, coefficient, with_kl ? &reference : nullptr);
    CHECK(difference(gradients(model), plain_gradients(config, weights, work, coefficient,
                                                       with_kl ? &other : nullptr)) < 1e-5);
  }
}

TEST_CASE("gradients agree with central differences along random directions", "[unit]") {
  const ModelConfig config = variants()[1];
  const Work work(config);
  const Pass pass = make_pass(work, 0, 2, true);
  const at::Tensor coefficient = coefficients(pass.rows.rows.size(0), 1);
  Decoder model(config, test::random_weights(config), Precision::kFloat32, true);
  backward(model, pass, coefficient);
  const TensorMap slopes = gradients(model);
  const auto value = [&] {
    const at::NoGradGuard no_grad;
    model.refresh();
    return (model.token_stats(pass.batch, pass.rows).logprobs.to(at::kDouble) * coefficient)
        .sum()
        .item<double>();
  };
  constexpr double kStep = 2e-3;
  for (std::size_t i = 0; i < model.parameters().size(); i += 3) {
    NamedParameter& parameter = model.parameters()[i];
    const at::Tensor direction = slopes.at(parameter.name) / slopes.at(parameter.name).norm();
    const at::Tensor start = parameter.value.clone();
    parameter.value.copy_(start + direction * kStep);
    const double up = value();
    parameter.value.copy_(start - direction * kStep);
    const double down = value();
    parameter.value.copy_(start);
    INFO(parameter.name);
    CHECK((up - down) / (2 * kStep) ==
          Approx(slopes.at(parameter.name).norm().item<double>()).epsilon(2e-3));
  }
}

TEST_CASE("gradients of a batch are the sum of its parts, shared prompts or not", "[unit]") {
  for (const ModelConfig& config : variants()) {
    const Work work(config);
    Decoder model(config, test::random_weights(config), Precision::kFloat32, true);
    const Pass whole = make_pass(work, 0, 2, true), repeated = make_pass(work, 0, 2, false);
    const Pass first = make_pass(work, 0, 1, true), second = make_pass(work, 1, 2, true);
    const std::int64_t split = first.rows.rows.size(0), count = whole.rows.rows.size(0);
    const at::Tensor coefficient = coefficients(count, 2);
    backward(model, whole, coefficient);
    const TensorMap once = gradients(model);
    model.zero_gradients();
    backward(model, first, coefficient.narrow(0, 0, split));
    backward(model, second, coefficient.narrow(0, split, count - split));
    CHECK(difference(gradients(model), once) < 1e-5);
    model.zero_gradients();
    backward(model, repeated, coefficient);
    CHECK(difference(gradients(model), once) < 1e-5);
  }
}

TEST_CASE("the rows computed at once change nothing", "[unit]") {
  const ModelConfig config = test::tiny_config();
  const Work work(config);
  Decoder model(config, test::random_weights(config), Precision::kFloat32, true);
  const Decoder reference(config, test::random_weights(config, 2), Precision::kFloat32, false);
  const Pass pass = make_pass(work, 0, 2, true);
  const at::NoGradGuard no_grad;
  const at::Tensor hidden = model.hidden(pass.batch);
  const at::Tensor coefficient = coefficients(pass.rows.rows.size(0), 3);
  const auto run = [&](std::int64_t chunk) {
    StatsPass stats{.rows = pass.rows, .request = {}, .chunk_rows = chunk};
    stats.request.entropy = true;
    stats.request.reference = &reference;
    stats.request.reference_hidden = reference.hidden(pass.batch).index_select(0, pass.rows.rows);
    const TokenStats values = run_token_stats(model.impl(), hidden, stats);
    model.zero_gradients();
    const at::Tensor dhidden =
        run_token_stats_backward(model.impl(), hidden, stats, coefficient, coefficient);
    return std::tuple(values, dhidden, gradients(model));
  };
  const auto [expected, expected_dhidden, expected_gradients] = run(1000);
  for (const std::int64_t chunk : {1, 7, 27}) {
    const auto [values, dhidden, chunk_gradients] = run(chunk);
    CHECK(values.logprobs.allclose(expected.logprobs, 0, 1e-6));
    CHECK(values.entropy.allclose(expected.entropy, 0, 1e-6));
    CHECK(values.kl.allclose(expected.kl, 0, 1e-6));
    CHECK(dhidden.allclose(expected_dhidden, 0, 1e-5));
    CHECK(difference(chunk_gradients, expected_gradients) < 1e-5);
  }
}

TEST_CASE("KL to a reference equals the dense sum and is zero to itself", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const ModelConfig config = test::tiny_config();
  const Pass pass = make_pass(Work(config), 0, 2, true);
  const Decoder model(config, test::random_weights(config), precision, false);
  const Decoder other(config, test::random_weights(config, 2), precision, false);
  const at::NoGradGuard no_grad;
  const at::Tensor hidden = model.hidden(pass.batch);
  const auto kl_to = [&](const Decoder& reference) {
    TokenStatsRequest request;
    request.reference = &reference;
    request.reference_hidden = reference.hidden(pass.batch).index_select(0, pass.rows.rows);
    return model.token_stats(hidden, pass.rows, request).kl;
  };
  CHECK(kl_to(model).abs().max().item<double>() < 1e-6);
  const at::Tensor logp =
      model.logits(hidden.index_select(0, pass.rows.rows)).to(at::kDouble).log_softmax(1);
  const at::Tensor logq = other.logits(other.hidden(pass.batch).index_select(0, pass.rows.rows))
                              .to(at::kDouble)
                              .log_softmax(1);
  CHECK((kl_to(other) - (logq.exp() * (logq - logp)).sum(1)).abs().max().item<double>() < 1e-5);
}

TEST_CASE("bfloat16 gradients point where float32 gradients point", "[unit]") {
  for (const ModelConfig& config : variants()) {
    const Work work(config);
    const Pass pass = make_pass(work, 0, 2, true);
    const at::Tensor coefficient = coefficients(pass.rows.rows.size(0), 4);
    Decoder full(config, test::random_weights(config), Precision::kFloat32, true);
    Decoder half(config, test::random_weights(config), Precision::kBFloat16, true);
    backward(full, pass, coefficient);
    backward(half, pass, coefficient);
    for (std::size_t i = 0; i < full.parameters().size(); ++i) {
      const at::Tensor a = full.parameters()[i].gradient, b = half.parameters()[i].gradient;
      INFO(full.parameters()[i].name);
      CHECK(((a * b).sum() / (a.norm() * b.norm())).item<double>() > 0.995);
      CHECK((b.norm() / a.norm()).item<double>() == Approx(1.0).epsilon(0.03));
    }
  }
}

TEST_CASE(
    "an update reaches the log-probs at refresh, and equals a model made from the new weights",
    "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const ModelConfig config = test::tiny_config();
  const Work work(config);
  const Pass pass = make_pass(work, 0, 2, true);
  Decoder model(config, test::random_weights(config), precision, true);
  const double loss = backward(model, pass, coefficients(pass.rows.rows.size(0), 5));
  for (NamedParameter& parameter : model.parameters())
    parameter.value.sub_(parameter.gradient, 1e-3);
  model.refresh();
  model.zero_gradients();
  CHECK(model.parameters().front().gradient.abs().max().item<double>() == 0.0);
  CHECK(backward(model, pass, coefficients(pass.rows.rows.size(0), 5)) < loss);
  const at::NoGradGuard no_grad;
  const Decoder fresh(config, model.weights(), precision, false);
  CHECK(fresh.token_stats(pass.batch, pass.rows)
            .logprobs.equal(model.token_stats(pass.batch, pass.rows).logprobs));
}

TEST_CASE("gradients are recorded only when asked for, and used once", "[unit]") {
  const ModelConfig config = test::tiny_config();
  const Pass pass = make_pass(Work(config), 0, 2, true);
  Decoder model(config, test::random_weights(config), Precision::kFloat32, true);
  Decoder frozen(config, test::random_weights(config), Precision::kFloat32, false);
  CHECK_FALSE(frozen.token_stats(pass.batch, pass.rows).logprobs.requires_grad());
  CHECK(frozen.parameters().empty());
  const TokenStats stats = model.token_stats(pass.batch, pass.rows);
  CHECK(stats.logprobs.requires_grad());
  stats.logprobs.sum().backward({}, /*retain_graph=*/true);
  CHECK_THROWS_AS(stats.logprobs.sum().backward(), std::logic_error);
  const at::NoGradGuard no_grad;
  CHECK_FALSE(model.token_stats(pass.batch, pass.rows).logprobs.requires_grad());
}

}  // namespace
}  // namespace plumb
