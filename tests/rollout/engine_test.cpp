#include "rollout/engine.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "rollout/fake_model.hpp"
#include "rollout/fake_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::HashModel;

namespace {

/// Pieces of the fake vocabulary: "a" for 0, "b" for 1, ...
test::PieceTokenizer letters() {
  std::vector<std::string> pieces;
  for (std::int64_t i = 0; i < HashModel::kVocab; ++i) {
    pieces.emplace_back(1, static_cast<char>('a' + i % 26));
    if (i >= 26) pieces.back() += '2';
  }
  return test::PieceTokenizer(std::move(pieces));
}

std::vector<RolloutRequest> requests(std::size_t count, std::int64_t samples) {
  std::vector<RolloutRequest> all;
  for (std::size_t i = 0; i < count; ++i) {
    RolloutRequest request;
    for (std::size_t j = 0; j <= i % 5; ++j)
      request.prompt_ids.push_back(static_cast<std::int32_t>(3 * i + j) % 40);
    request.samples = samples;
    request.stream = 1000 + i;
    all.push_back(request);
  }
  return all;
}

using Responses =
    std::map<std::pair<std::uint64_t, std::int64_t>, RolloutResponse>;  // by (stream, sample)

struct Result {
  Responses responses;
  RolloutStats stats;
  HashModel::Counts counts;
};

Result generate(const std::vector<RolloutRequest>& all, const SamplingOptions& sampling,
                std::int64_t max_rows, const std::vector<std::int32_t>& end_ids = {},
                std::uint64_t seed = 1, std::size_t poison = 0) {
  Result result;
  const auto tokenizer = letters();
  RolloutEngine engine(std::make_unique<HashModel>(result.counts, poison), tokenizer, {max_rows});
  result.stats = engine.generate(all, sampling, end_ids, seed, 2, [&](RolloutResponse&& response) {
    const auto key = std::pair(all.at(response.request).stream, response.sample);
    CHECK(result.responses.emplace(key, std::move(response)).second);
  });
  CHECK(result.counts.open_rows == 0);
  CHECK(result.counts.live_prompts == 0);
  return result;
}

void check_same(const Responses& a, const Responses& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [key, response] : a) {
    const RolloutResponse& other = b.at(key);
    CHECK(response.ids == other.ids);
    CHECK(response.logp_policy == other.logp_policy);
    CHECK(response.logp_sampling == other.logp_sampling);
    CHECK(response.finish == other.finish);
  }
}

}  // namespace

TEST_CASE("responses depend on nothing but their own key", "[unit][engine]") {
  SamplingOptions sampling;
  sampling.max_new_tokens = 12;
  sampling.temperature = 0.9;
  sampling.top_p = 0.95;
  auto all = requests(11, 4);
  const Result reference = generate(all, sampling, 64, {5, 6});
  CHECK(reference.responses.size() == 44);
  CHECK(reference.counts.prompts_run == 11);  // K samples share their prompt's run
  for (const std::int64_t rows : {1, 3, 7}) {
    const Result other = generate(all, sampling, rows, {5, 6});
    CHECK(other.counts.most_rows == static_cast<std::size_t>(rows));
    check_same(reference.responses, other.responses);
  }
  std::reverse(all.begin(), all.end());
  check_same(reference.responses, generate(all, sampling, 5, {5, 6}).responses);

  // The same samples drawn in two calls.
  auto first = requests(11, 1), rest = requests(11, 3);
  for (RolloutRequest& request : rest) request.first_sample = 1;
  Result split = generate(first, sampling, 64, {5, 6});
  split.responses.merge(generate(rest, sampling, 64, {5, 6}).responses);
  check_same(reference.responses, split.responses);
}

TEST_CASE("samples of a prompt differ, and another seed gives others", "[unit][engine]") {
  SamplingOptions sampling;
  sampling.max_new_tokens = 12;
  const auto all = requests(2, 8);
  const Result one = generate(all, sampling, 16);
  std::set<std::vector<std::int32_t>> distinct;
  for (const auto& [key, response] : one.responses) distinct.insert(response.ids);
  CHECK(distinct.size() == 16);
  const Result two = generate(all, sampling, 16, {}, 2);
  CHECK(two.responses.begin()->second.ids != one.responses.begin()->second.ids);
}

TEST_CASE("greedy responses follow the argmax; log-probs are those of the model",
          "[unit][engine]") {
  SamplingOptions sampling;
  sampling.temperature = 0;
  sampling.max_new_tokens = 9;
  const auto all = requests(4, 1);
  for (const auto& [key, response] : generate(all, sampling, 3).responses) {
    std::vector<std::int32_t> ids = all[response.request].prompt_ids;
    CHECK(response.ids.size() == 9);
    CHECK(response.finish == FinishReason::kLength);
    for (std::size_t t = 0; t < response.ids.size(); ++t) {
      const auto logits = HashModel::logits_after(ids);
      CHECK(response.ids[t] == std::max_element(logits.begin(), logits.end()) - logits.begin());
      double total = 0;
      for (const float logit : logits) total += std::exp(static_cast<double>(logit));
      const double logp =
          static_cast<double>(logits[static_cast<std::size_t>(response.ids[t])]) - std::log(total);
      CHECK(response.logp_policy[t] == Approx(logp).epsilon(1e-5));
      ids.push_back(response.ids[t]);
    }
  }
}

TEST_CASE("an end token ends a response and belongs to it", "[unit][engine]") {
  SamplingOptions sampling;
  sampling.max_new_tokens = 30;
  std::size_t stopped = 0;
  for (const auto& [key, response] : generate(requests(6, 6), sampling, 8, {5, 6}).responses) {
    const bool ends = response.ids.back() == 5 || response.ids.back() == 6;
    CHECK((response.finish == FinishReason::kStop) == ends);
    CHECK(std::none_of(response.ids.begin(), response.ids.end() - 1,
                       [](auto id) { return id == 5 || id == 6; }));
    CHECK((ends || response.ids.size() == 30));
    stopped += ends ? 1 : 0;
  }
  CHECK(stopped > 10);

  sampling.min_new_tokens = 20;
  for (const auto& [key, response] : generate(requests(6, 6), sampling, 8, {5, 6}).responses) {
    CHECK(response.ids.size() >= 20);
  }
  sampling.max_new_tokens = 1;  // ends with the prompt's own logits, without a row
  sampling.min_new_tokens = 0;
  const Result one = generate(requests(6, 6), sampling, 8, {5, 6});
  CHECK(one.responses.size() == 36);
  CHECK(one.stats.steps == 0);
}

TEST_CASE("a stop text ends a response behind the token that completes it", "[unit][engine]") {
  SamplingOptions sampling;
  sampling.max_new_tokens = 30;
  sampling.stop = {"c", "2a"};
  const auto tokenizer = letters();
  std::size_t stopped = 0;
  for (const auto& [key, response] : generate(requests(6, 6), sampling, 8).responses) {
    const auto has_stop = [&](std::size_t length) {
      const std::string text = tokenizer.decode(std::span(response.ids).first(length), false);
      return text.find('c') != std::string::npos || text.find("2a") != std::string::npos;
    };
    CHECK(has_stop(response.ids.size()) == (response.finish == FinishReason::kStop));
    CHECK_FALSE(has_stop(response.ids.size() - 1));
    stopped += response.finish == FinishReason::kStop ? 1 : 0;
  }
  CHECK(stopped > 10);
}

TEST_CASE("own token limits of samples, and counts", "[unit][engine]") {
  auto all = requests(3, 2);
  for (RolloutRequest& request : all) request.limits = {4, 7};
  SamplingOptions sampling;
  const Result result = generate(all, sampling, 2);
  for (const auto& [key, response] : result.responses)
    CHECK(response.ids.size() == (response.sample == 0 ? 4 : 7));
  CHECK(result.stats.generated_tokens == 33);
  CHECK(result.stats.prompt_tokens == 1 + 2 + 3);
  all[1].limits = {4};
  CHECK_THROWS_WITH(
      generate(all, sampling, 2),
      Catch::Contains("request 1") && Catch::Contains("1 token limits for 2 samples"));
}

TEST_CASE("a request that does not fit and bad logits are named, and nothing stays open",
          "[unit][engine]") {
  SamplingOptions sampling;
  sampling.max_new_tokens = 97;
  CHECK_THROWS_WITH(generate(requests(6, 1), sampling, 2), Catch::Contains("request 3"));
  sampling.max_new_tokens = 20;
  HashModel::Counts counts;
  const auto tokenizer = letters();
  const auto all = requests(6, 2);
  for (const std::size_t poison : {2U, 8U}) {
    RolloutEngine engine(std::make_unique<HashModel>(counts, poison), tokenizer, {3});
    CHECK_THROWS_WITH(
        engine.generate(all, sampling, {}, 1, 1, [](auto&&) {}),
        Catch::Contains(poison == 2 ? "request 1, sample 0, position 0" : "position") &&
            Catch::Contains("NaN"));
    CHECK(counts.open_rows == 0);
    CHECK(counts.live_prompts == 0);
  }
  RolloutEngine engine(std::make_unique<HashModel>(counts), tokenizer, {3});
  CHECK_THROWS_AS(
      engine.generate(all, sampling, {}, 1, 1, [](auto&&) { throw DataError("disk full"); }),
      DataError);
  CHECK(counts.open_rows == 0);
  CHECK(counts.live_prompts == 0);
  // The engine is usable again.
  std::size_t done = 0;
  engine.generate(all, sampling, {}, 1, 1, [&](auto&&) { ++done; });
  CHECK(done == 12);
}

TEST_CASE("requests that join a running generation get what they get alone", "[rollout][unit]") {
  const auto tokenizer = letters();
  std::vector<RolloutRequest> all = requests(7, 2);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SamplingOptions own;
    own.max_new_tokens = 5 + static_cast<std::int64_t>(3 * i);
    own.temperature = i == 2 ? 0.0 : 0.5 + 0.2 * static_cast<double>(i);
    own.top_k = i % 2 == 0 ? 0 : 9;
    own.repetition_penalty = i == 4 ? 1.5 : 1.0;
    if (i == 5) own.stop = {"b", "c", "d"};
    all[i].sampling = own;
    all[i].seed = 40 + i;
    all[i].top_logprobs = static_cast<std::int64_t>(i % 3);
  }
  const auto run = [&](std::vector<const RolloutRequest*> order, std::int64_t rows) {
    HashModel::Counts counts;
    RolloutEngine engine(std::make_unique<HashModel>(counts), tokenizer, {rows});
    Responses responses;
    std::size_t asked = 0, given = 0;
    const RequestSource next = [&]() -> const RolloutRequest* {
      // Two at the start, then one at every other time of asking.
      if (given == order.size() || (given >= 2 && ++asked % 2 == 0)) return nullptr;
      return order[given++];
    };
    engine.generate(next, SamplingOptions{}, {}, 1, 2, [&](RolloutResponse&& response) {
      const auto key = std::pair(order.at(response.request)->stream, response.sample);
      CHECK(responses.emplace(key, std::move(response)).second);
    });
    CHECK(counts.open_rows == 0);
    CHECK(counts.live_prompts == 0);
    CHECK(given == order.size());
    return std::pair(std::move(responses), counts.most_rows);
  };
  std::vector<const RolloutRequest*> order;
  Responses alone;
  for (const RolloutRequest& request : all) {
    order.push_back(&request);
    alone.merge(run({&request}, 8).first);
  }
  const auto [together, most_rows] = run(order, 8);
  CHECK(most_rows > 4);
  check_same(alone, together);
  std::reverse(order.begin(), order.end());
  check_same(alone, run(order, 5).first);

  for (const auto& [key, response] : together) {
    const RolloutRequest& request = all.at(key.first - 1000);
    CHECK(response.top == alone.at(key).top);
    CHECK(static_cast<std::int64_t>(response.ids.size()) <= request.sampling->max_new_tokens);
    if (request.top_logprobs == 0) {
      CHECK(response.top.empty());
      continue;
    }
    // Against the softmax of the model's logits, worked out here.
    REQUIRE(response.top.size() == response.ids.size());
    std::vector<std::int32_t> ids = request.prompt_ids;
    for (std::size_t t = 0; t < response.ids.size(); ++t) {
      const std::vector<float> logits = HashModel::logits_after(ids);
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
      std::vector<float> sorted = logits;
      std::sort(sorted.rbegin(), sorted.rend());
      REQUIRE(response.top[t].size() == static_cast<std::size_t>(request.top_logprobs));
      for (std::size_t k = 0; k < response.top[t].size(); ++k) {
        const auto [id, logprob] = response.top[t][k];
        CHECK(logits.at(static_cast<std::size_t>(id)) == sorted[k]);
        CHECK(logprob == Approx(sorted[k] - std::log(sum)).margin(1e-5));
      }
      ids.push_back(response.ids[t]);
    }
  }
}
