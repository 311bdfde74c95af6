#include "train/token_metrics.hpp"

#include <ATen/ops/tensor.h>

#include <map>

#include "kernels/vocabulary.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using nlohmann::json;

namespace {

/// Logits of the rows that predict completion tokens, with these tokens; row-major.
struct CompletionRows {
  std::vector<float> logits;
  std::vector<std::int64_t> targets, offsets{0};
};

CompletionRows completion_rows(const json& c) {
  CompletionRows out;
  const json &ids = c["input_ids"], &mask = c["completion_mask"];
  for (std::size_t s = 0; s < ids.size(); ++s) {
    for (std::size_t t = 1; t < ids[s].size(); ++t) {
      CHECK(mask[s][t].get<int>() <= c["attention_mask"][s][t].get<int>());
      if (mask[s][t] == 0) continue;
      out.targets.push_back(ids[s][t]);
      for (const json& logit : c["logits"][s][t - 1])
        out.logits.push_back(static_cast<float>(test::number(logit)));
    }
    out.offsets.push_back(static_cast<std::int64_t>(out.targets.size()));
  }
  return out;
}

void check_close(const at::Tensor& got, const json& want) {
  REQUIRE(got.size(0) == static_cast<std::int64_t>(want.size()));
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double theirs =
        want[i].is_boolean() ? (want[i].get<bool>() ? 1.0 : 0.0) : test::number(want[i]);
    CHECK(got[static_cast<std::int64_t>(i)].item<double>() ==
          Approx(theirs).epsilon(1e-5).margin(1e-6));
  }
}

}  // namespace

// losses_trl.json: TRL's fused kernel and the metrics that its DPO trainer logs, float32.
TEST_CASE("statistics of tokens and their means equal TRL's", "[train][golden]") {
  const bool use_portable = GENERATE(false, true);
  const json file = test::golden("losses_trl.json");
  std::size_t with_metrics = 0;
  for (const json& c : file["dpo_tokens"]) {
    INFO(c["name"]);
    const CompletionRows rows = completion_rows(c);
    const auto count = static_cast<std::int64_t>(rows.targets.size());
    const std::int64_t words = static_cast<std::int64_t>(c["logits"][0][0].size()), block = 4;
    const at::Tensor logits = at::tensor(rows.logits).reshape({count, words});
    const at::Tensor targets = at::tensor(rows.targets, at::kLong);
    kernels::LogitStatistics statistics = kernels::start_statistics(
        count, at::kCPU, {.entropy = true, .square_logsum = true, .mean_logit = true});
    for (std::int64_t first = 0; first < words; first += block) {
      const at::Tensor part = logits.narrow(1, first, std::min(block, words - first)).contiguous();
      (use_portable ? kernels::portable::add_logits : kernels::add_logits)(statistics, part, first,
                                                                           targets, {});
    }
    const json& kernel = c["kernel_fp32"];
    check_close(statistics.logprobs(), kernel["log_probs"]);
    check_close(statistics.entropy(), kernel["entropy"]);
    check_close(statistics.square_logsum(), kernel["log_sum_sq_probs"]);
    check_close(statistics.mean_logit(words), kernel["mean_logits"]);
    check_close(statistics.is_top(), kernel["is_top1"]);

    TokenStats stats;
    stats.entropy = statistics.entropy();
    stats.mean_logit = statistics.mean_logit(words);
    stats.is_top = statistics.is_top();
    std::map<std::string, double> ours;
    for (const Metric& metric :
         token_metrics(stats, rows.offsets, static_cast<std::int64_t>(c["input_ids"].size() / 2)))
      ours[metric.name] = metric.sum / metric.count;
    for (const json& r : c["results"]) {
      if (!r.contains("metrics")) continue;
      ++with_metrics;
      for (const auto& [name, value] : ours) {
        INFO(name);
        CHECK(value == Approx(test::number(r["metrics"][name])).epsilon(1e-5).margin(1e-6));
      }
      // TRL counts what it feeds: prompt and response of both sides.
      int fed = 0;
      for (const json& row : c["attention_mask"]) {
        for (const json& one : row) fed += one.get<int>();
      }
      CHECK(r["metrics"]["num_tokens"] == fed);
    }
  }
  CHECK(with_metrics > 0);
}

TEST_CASE("metrics of tokens: accuracy counts chosen tokens alone, gold answers count nowhere",
          "[train][unit]") {
  TokenStats stats;
  stats.entropy = at::tensor({1.0F, 2.0F, 3.0F, 6.0F, 100.0F});
  stats.mean_logit = at::tensor({-1.0F, 1.0F, 4.0F, 8.0F, 100.0F});
  stats.is_top = at::tensor({1.0F, 0.0F, 1.0F, 1.0F, 1.0F});
  std::map<std::string, std::pair<double, double>> sums;
  for (const Metric& metric : token_metrics(stats, {0, 2, 4, 5}, 1))
    sums[metric.name] = {metric.sum, metric.count};
  using Sum = std::pair<double, double>;
  CHECK(sums == std::map<std::string, Sum>{{"entropy", {12, 4}},
                                           {"logits/chosen", {0, 2}},
                                           {"logits/rejected", {12, 2}},
                                           {"mean_token_accuracy", {1, 2}}});
}
