#include "rollout/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "core/rng.hpp"
#include "rollout/filters.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::optional<Draw> draw_one(const std::vector<float>& logits, const SamplingOptions& options,
                             double uniform, const std::vector<std::int32_t>& end_ids = {},
                             const std::vector<std::int32_t>& prompt = {},
                             const std::vector<std::int32_t>& response = {}) {
  Sampler sampler(options, end_ids, static_cast<std::int64_t>(logits.size()));
  const DrawInput input{logits.data(), logits.data(), prompt, response, uniform};
  std::optional<Draw> drawn;
  sampler.draw({&input, 1}, {&drawn, 1});
  return drawn;
}

/// Probability of each token that `points` evenly spaced uniforms reach, as the sampler reports it.
std::map<std::int32_t, double> support(const std::vector<float>& logits,
                                       const SamplingOptions& options, int points = 4000) {
  std::map<std::int32_t, double> found;
  for (int i = 0; i < points; ++i) {
    const auto drawn = draw_one(logits, options, (i + 0.5) / points);
    found[drawn->token] = std::exp(static_cast<double>(drawn->logp_sampling));
  }
  return found;
}

std::vector<float> random_logits(std::size_t size, unsigned seed, float spread = 3.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, spread);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(generator);
  return logits;
}

}  // namespace

TEST_CASE("inverse CDF in id order, and the example of guided decoding", "[unit][sampler]") {
  // B + A of the reference's guided-decoding example: probabilities 0.34739237 0.57275320
  // 0.07751372 0.00234071.
  const std::vector<float> logits{2.0F, 2.5F, 0.5F, -3.0F};
  const SamplingOptions plain;
  CHECK(draw_one(logits, plain, 0.30)->token == 0);
  CHECK(draw_one(logits, plain, 0.35)->token == 1);
  CHECK(draw_one(logits, plain, 0.93)->token == 2);
  CHECK(draw_one(logits, plain, 0.999)->token == 3);
  CHECK(draw_one(logits, plain, 0.0)->token == 0);
  CHECK(draw_one(logits, plain, 1.0 - 0x1p-53)->token == 3);
  CHECK(std::exp(draw_one(logits, plain, 0.35)->logp_policy) == Approx(0.57275320).epsilon(1e-6));

  SamplingOptions nucleus;
  nucleus.top_p = 0.8;  // keeps {1, 0}
  const auto kept = support(logits, nucleus);
  REQUIRE(kept.size() == 2);
  CHECK(kept.at(1) == Approx(0.62245933).epsilon(1e-6));
  CHECK(kept.at(0) == Approx(0.37754067).epsilon(1e-6));

  SamplingOptions cool;
  cool.temperature = 0.7;
  const auto cooled = support(logits, cool, 20000);
  CHECK(cooled.at(0) == Approx(0.31637193).epsilon(1e-5));
  CHECK(cooled.at(1) == Approx(0.64626150).epsilon(1e-5));
  CHECK(cooled.at(2) == Approx(0.03711649).epsilon(1e-5));
  CHECK(cooled.at(3) == Approx(0.00025009).epsilon(1e-4));
}

TEST_CASE("the policy's log-prob ignores penalty, temperature and filters", "[unit][sampler]") {
  const std::vector<float> logits{2.0F, 1.0F, 0.0F,
                                  -1.0F};  // log-softmax -0.4401897, -1.4401897, ...
  SamplingOptions options;
  options.temperature = 0.5;
  options.top_k = 2;
  options.repetition_penalty = 3.0;
  const auto drawn = draw_one(logits, options, 0.99, {}, {0});
  REQUIRE(drawn->token == 1);  // 0 is penalised to 2/3, so 1 leads
  CHECK(draw_one(logits, options, 0.99)->token == 1);
  CHECK(drawn->logp_policy == Approx(-1.4401897).epsilon(1e-6));
  // {1: 1/0.5, 0: (2/3)/0.5} -> log-prob of 1 = -log(1 + exp(-2/3))
  CHECK(drawn->logp_sampling == Approx(-std::log1p(std::exp(-2.0 / 3))).epsilon(1e-5));
}

TEST_CASE("greedy takes the lowest id on ties", "[unit][sampler]") {
  SamplingOptions greedy;
  greedy.temperature = 0;
  greedy.top_p = 0.1;
  const std::vector<float> logits{0.0F, 4.0F, 1.0F, 4.0F};
  const auto drawn = draw_one(logits, greedy, 0.9);
  CHECK(drawn->token == 1);
  CHECK(drawn->logp_sampling == 0.0F);
  CHECK(drawn->logp_policy ==
        Approx(4 - std::log(2 * std::exp(4.0) + std::exp(1.0) + 1)).epsilon(1e-6));
}

TEST_CASE("repetition penalty divides positive and multiplies negative scores of seen tokens",
          "[unit][sampler]") {
  SamplingOptions options;
  options.repetition_penalty = 2.0;
  const std::vector<float> logits{1.0F, -1.0F, 0.5F, -2.0F};
  // Prompt {0, 0, 1}, response {3}: scores 0.5, -2, 0.5, -4; each seen token once.
  const double total = 2 * std::exp(0.5) + std::exp(-2.0) + std::exp(-4.0);
  const auto drawn = draw_one(logits, options, 0.999999, {}, {0, 0, 1}, {3});
  CHECK(drawn->token == 3);
  CHECK(drawn->logp_sampling == Approx(-4 - std::log(total)).epsilon(1e-5));
}

TEST_CASE("end tokens cannot come before min_new_tokens", "[unit][sampler]") {
  SamplingOptions options;
  options.min_new_tokens = 2;
  const std::vector<float> logits{0.0F, 10.0F, 0.0F};
  CHECK(draw_one(logits, options, 0.5, {1, -5, 99})->token == 2);
  CHECK(draw_one(logits, options, 0.5, {1}, {}, {0})->token == 2);
  CHECK(draw_one(logits, options, 0.5, {1}, {}, {0, 0})->token == 1);
  CHECK(draw_one(logits, options, 0.49, {1})->logp_sampling == Approx(std::log(0.5)).epsilon(1e-6));
}

TEST_CASE("a NaN or an infinity gives no draw", "[unit][sampler]") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -infinity}) {
    for (const std::size_t size : {3U, 16U, 1000U}) {
      for (const std::size_t where : {std::size_t{0}, size / 2, size - 1}) {
        std::vector<float> logits(size, 1.0F);
        logits[where] = bad;
        CHECK_FALSE(draw_one(logits, {}, 0.5).has_value());
        CHECK_FALSE(draw_one(
                        logits,
                        [] {
                          SamplingOptions o;
                          o.temperature = 0;
                          return o;
                        }(),
                        0.5)
                        .has_value());
      }
    }
  }
}

TEST_CASE("top-k, top-p and min-p keep exactly the sets of hand cases", "[unit][sampler]") {
  // Probabilities 0.4 0.1 0.3 0.1 0.1
  std::vector<float> logits;
  for (const double p : {0.4, 0.1, 0.3, 0.1, 0.1})
    logits.push_back(static_cast<float>(std::log(p)));
  const auto ids = [&](auto change) {
    SamplingOptions options;
    change(options);
    std::vector<std::int32_t> kept;
    for (const auto& [id, p] : support(logits, options)) kept.push_back(id);
    return kept;
  };
  using Ids = std::vector<std::int32_t>;
  CHECK(ids([](auto& o) { o.top_k = 1; }) == Ids{0});
  CHECK(ids([](auto& o) { o.top_k = 2; }) == Ids{0, 2});
  CHECK(ids([](auto& o) { o.top_k = 3; }) == Ids{0, 1, 2});  // equal scores: the lowest id
  CHECK(ids([](auto& o) { o.top_k = 4; }) == Ids{0, 1, 2, 3});
  CHECK(ids([](auto& o) { o.top_k = -1; }).size() == 5);
  CHECK(ids([](auto& o) { o.top_k = 100; }).size() == 5);
  CHECK(ids([](auto& o) { o.top_p = 0.0; }) == Ids{0});
  CHECK(ids([](auto& o) { o.top_p = 0.39; }) == Ids{0});
  CHECK(ids([](auto& o) { o.top_p = 0.41; }) == Ids{0, 2});
  CHECK(ids([](auto& o) { o.top_p = 0.75; }) == Ids{0, 1, 2});
  CHECK(ids([](auto& o) { o.top_p = 0.85; }) == Ids{0, 1, 2, 3});
  CHECK(ids([](auto& o) { o.min_p = 0.26; }) == Ids{0, 2});  // 0.1 / 0.4 = 0.25 falls out
  CHECK(ids([](auto& o) { o.min_p = 0.24; }).size() == 5);
  CHECK(ids([](auto& o) { o.min_p = 1.0; }) == Ids{0});
  // top-p works on what top-k left: {0.4, 0.3} / 0.7 has 0.571 at id 0.
  CHECK(ids([](auto& o) {
          o.top_k = 2;
          o.top_p = 0.55;
        }) == Ids{0});
  CHECK(ids([](auto& o) {
          o.top_k = 2;
          o.top_p = 0.6;
        }) == Ids{0, 2});
}

TEST_CASE("likeliest sets equal those of a full sort", "[unit][sampler]") {
  for (const std::size_t size : {1U, 7U, 513U, 5000U, 49152U}) {
    for (const bool coarse : {false, true}) {
      auto mass = random_logits(size, static_cast<unsigned>(size), 2.0F);
      const float top = *std::max_element(mass.begin(), mass.end());
      for (float& m : mass)
        m = std::exp(coarse ? std::round(m - top) : m - top);  // coarse: many ties
      std::vector<std::int32_t> order(size), candidates(size + 16);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
        return mass[static_cast<std::size_t>(a)] > mass[static_cast<std::size_t>(b)];
      });
      double total = 0;
      for (const float m : mass) total += static_cast<double>(m);
      const auto check = [&](Amount amount, double wanted) {
        const LikeliestSet set = likeliest(mass, amount, wanted, candidates);
        double reached = 0;
        std::size_t kept = 0;
        while (kept < size && reached < wanted) {
          reached += amount == Amount::kCount
                         ? 1.0
                         : static_cast<double>(mass[static_cast<std::size_t>(order[kept])]);
          ++kept;
        }
        const auto last = static_cast<std::size_t>(order[kept - 1]);
        CHECK(set.cut == mass[last]);
        CHECK(set.last_tie == order[kept - 1]);
      };
      for (const double k : {1.0, 2.0, 50.0, 700.0, 4000.0}) {
        if (k <= static_cast<double>(size)) check(Amount::kCount, k);
      }
      for (const double p : {1e-9, 0.1, 0.5, 0.9, 0.95, 0.99}) check(Amount::kMass, p * total);
    }
  }
}

bool has_ties(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) != values.end();
}

TEST_CASE("official guided distributions with top-k and top-p", "[golden][sampler]") {
  const auto golden = test::golden("genarm.json");
  for (const auto& item : golden.at("guided")) {
    const auto combined = item.at("combined").get<std::vector<float>>();
    for (const auto& result : item.at("results")) {
      SamplingOptions options;
      options.temperature = result.at("passed_temperature");
      options.top_k = result.at("top_k");
      options.top_p = result.at("top_p");
      const auto expected = result.at("probs").get<std::vector<double>>();
      const auto found = support(combined, options, 3000);
      if (options.top_p < 1.0 && has_ties(combined)) {
        // The authors drop the lowest ids among ties at the boundary; we keep them, on purpose.
        for (const auto& [id, share] : found) {
          for (std::int32_t lower = 0; lower < id; ++lower) {
            const auto at = [&](std::int32_t i) { return combined[static_cast<std::size_t>(i)]; };
            if (at(lower) == at(id)) CHECK(found.count(lower) == 1);
          }
        }
        continue;
      }
      for (std::size_t id = 0; id < expected.size(); ++id) {
        const auto it = found.find(static_cast<std::int32_t>(id));
        if (it != found.end()) {
          CHECK(it->second == Approx(expected[id]).margin(1e-5));
        } else {
          CHECK(expected[id] < 1.0 / 3000);  // no point of the grid fell into it
        }
      }
    }
  }
}

TEST_CASE("frequencies follow the exact probabilities", "[unit][sampler]") {
  // Chi-square over 30 tokens, 20000 draws from counter-based uniforms: 29 degrees of freedom, 99.9
  // % quantile 58.3.
  const auto logits = random_logits(30, 5, 1.0F);
  SamplingOptions options;
  options.temperature = 1.3;
  double total = 0;
  for (const float l : logits) total += std::exp(static_cast<double>(l) / 1.3);
  std::vector<double> counts(30);
  const RandomStream stream(7, 1, 99, 3);
  Sampler sampler(options, {}, 30);
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const DrawInput input{
        logits.data(), logits.data(), {}, {}, stream.uniform(static_cast<std::uint64_t>(i))};
    std::optional<Draw> drawn;
    sampler.draw({&input, 1}, {&drawn, 1});
    counts[static_cast<std::size_t>(drawn->token)] += 1;
  }
  double chi_square = 0;
  for (std::size_t id = 0; id < 30; ++id) {
    const double expected = kDraws * std::exp(static_cast<double>(logits[id]) / 1.3) / total;
    chi_square += (counts[id] - expected) * (counts[id] - expected) / expected;
  }
  CHECK(chi_square < 58.3);
  CHECK(chi_square > 10.9);  // 0.1 % quantile: more even than chance allows
}

TEST_CASE("a draw does not depend on the other rows", "[unit][sampler]") {
  SamplingOptions options;
  options.top_p = 0.9;
  options.temperature = 0.8;
  constexpr std::size_t kVocab = 3001;
  std::vector<std::vector<float>> rows;
  std::vector<DrawInput> inputs;
  for (unsigned r = 0; r < 9; ++r) rows.push_back(random_logits(kVocab, r));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    inputs.push_back({rows[r].data(), rows[r].data(), {}, {}, 0.1 * static_cast<double>(r) + 0.05});
  }
  Sampler sampler(options, {}, kVocab);
  std::vector<std::optional<Draw>> together(rows.size());
  sampler.draw(inputs, together);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::optional<Draw> alone;
    sampler.draw({&inputs[r], 1}, {&alone, 1});
    CHECK(alone->token == together[r]->token);
    CHECK(alone->logp_policy == together[r]->logp_policy);
    CHECK(alone->logp_sampling == together[r]->logp_sampling);
  }
}
