// RRPO's loss and spans against rrpo.json (official code), and its limit cases.
#include "losses/rrpo.hpp"

#include <algorithm>
#include <cmath>

#include "batches.hpp"
#include "losses/dpo.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;
using nlohmann::json;

namespace {

struct SignedCase {
  at::Tensor logits;
  PreferenceBatch batch;
};

/// Masks come from the file's signs at scored tokens.
SignedCase signed_case(const json& c) {
  std::vector<std::vector<bool>> mask;
  for (const json& row : c["targets"]) {
    mask.emplace_back();
    for (const json& id : row) mask.back().push_back(id.get<int>() != -100);
  }
  for (const json& row : c["targets"]) CHECK(row[0] == -100);  // nothing predicts a first token
  const at::Tensor logits = logits_leaf(c["logits"]);
  SignedCase out{logits, batch_of_logits(logits, logits_leaf(c["ref_logits"]).detach(),
                                         picks_of(c["targets"], mask))};
  const std::size_t pairs = mask.size() / 2;
  const auto spans = [&](std::size_t first) {
    Numbers values;
    for (std::size_t s = first; s < first + pairs; ++s) {
      for (std::size_t t = 1; t < mask[s].size(); ++t) {
        if (mask[s][t]) values.push_back(c["signs"][s][t].get<int>() > 0 ? 1.0 : 0.0);
      }
    }
    return vector(values).gt(0.5);
  };
  out.batch.chosen.span_mask = spans(0);
  out.batch.rejected.span_mask = spans(pairs);
  return out;
}

double mean(const json& values) {
  double sum = 0.0;
  for (const json& value : values) sum += number(value);
  return sum / static_cast<double>(values.size());
}

/// Signs as the file defines them: -100 outside of the response, 0 at common tokens, else the
/// number of the phrase, counted from 1 along the response.
void check_numbering(const json& c) {
  for (std::size_t s = 0; s < c["targets"].size(); ++s) {
    int phrases = 0;
    for (std::size_t t = 0; t < c["targets"][s].size(); ++t) {
      const int sign = c["signs"][s][t];
      INFO("row " << s << " token " << t);
      CHECK((sign == -100) == (c["targets"][s][t] == -100));
      if (sign > 0) {
        CHECK((sign == phrases || sign == phrases + 1));
        phrases = sign;
      }
    }
  }
}

void check_result(const json& c, const json& r) {
  const SignedCase s = signed_case(c);
  const RrpoLoss loss({.beta = r["beta"], .alpha = r["alpha"]});
  const Evaluation got = evaluate(loss, s.batch);
  CHECK(difference({got.loss}, {number(r["loss"])}) == "");
  CHECK(difference(got.pair_loss, flat(r["loss_per_pair"])) == "");
  CHECK(difference(numbers(s.logits.grad()), flat(r["grad_logits"])) == "");
  std::vector<std::pair<std::string, std::string>> names{{"rewards/chosen", "rewards_chosen"},
                                                         {"rewards/rejected", "rewards_rejected"},
                                                         {"logps/chosen", "logps_chosen"},
                                                         {"logps/rejected", "logps_rejected"}};
  CHECK(difference(numbers(response_sum(s.batch.chosen, s.batch.chosen.kl)),
                   flat(r["kl_chosen"])) == "");
  CHECK(difference(numbers(response_sum(s.batch.rejected, s.batch.rejected.kl)),
                   flat(r["kl_rejected"])) == "");
  if (r["alpha"] > 0.0) {
    names.emplace_back("rrpo/tkl_chosen", "kl_chosen");
    names.emplace_back("rrpo/tkl_rejected", "kl_rejected");
  }
  for (const auto& [ours, theirs] : names) {
    INFO(ours);
    CHECK(difference({got.metrics.at(ours)}, {mean(r[theirs])}) == "");
  }
}

}  // namespace

TEST_CASE("rrpo: official loss with given phrases", "[golden][losses][rrpo]") {
  const json file = golden("rrpo.json");
  for (const json& c : file["signed"]) {
    check_numbering(c);
    for (const json& r : c["results"]) {
      INFO(c["name"] << " alpha " << r["alpha"] << " beta " << r["beta"]);
      check_result(c, r);
    }
  }
}

namespace {

/// The masked tokens as the official code reads them: what a phrase covers of the padding counts as
/// token id 0, with its log-ratio but without its KL and its log-prob.
SignedCase with_padding(json c) {
  std::vector<std::vector<bool>> padding;
  for (std::size_t s = 0; s < c["targets"].size(); ++s) {
    padding.emplace_back();
    for (std::size_t t = 1; t < c["targets"][s].size(); ++t) {
      const bool padded = c["targets"][s][t] == -100 && c["signs"][s][t].get<int>() > 0;
      if (padded) c["targets"][s][t] = 0;
      if (c["targets"][s][t] != -100) padding.back().push_back(padded);
    }
  }
  SignedCase out = signed_case(c);
  std::size_t s = 0;
  for (ResponseSide* side : {&out.batch.chosen, &out.batch.rejected}) {
    Numbers counts;
    for (std::size_t i = 0; i + 1 < side->offsets.size(); ++i, ++s) {
      for (const bool padded : padding[s]) counts.push_back(padded ? 0.0 : 1.0);
    }
    side->kl = side->kl * vector(counts);
  }
  return out;
}

using Ids = std::vector<int>;

/// Marks with the next number what lies between blocks that two sequences share: the longest block
/// first, the earliest of equal ones, then left and right of it, as Python's difflib does.
class PhraseMarks {
 public:
  PhraseMarks(const Ids& a, const Ids& b) : in_a(a.size()), in_b(b.size()), a_(a), b_(b) {
    mark(0, std::ssize(a), 0, std::ssize(b));
  }
  Ids in_a, in_b;

 private:
  void mark(std::ptrdiff_t a0, std::ptrdiff_t a1, std::ptrdiff_t b0, std::ptrdiff_t b1) {
    std::ptrdiff_t from_a = 0, from_b = 0, longest = 0;
    for (auto i = a0; i < a1; ++i) {
      for (auto j = b0; j < b1; ++j) {
        std::ptrdiff_t size = 0;
        while (i + size < a1 && j + size < b1 && a_[i + size] == b_[j + size]) ++size;
        if (size > longest) longest = size, from_a = i, from_b = j;
      }
    }
    if (longest > 0) {
      mark(a0, from_a, b0, from_b);
      mark(from_a + longest, a1, from_b + longest, b1);
    } else if (a0 < a1 && b0 < b1) {
      ++phrases_;
      std::fill(in_a.begin() + a0, in_a.begin() + a1, phrases_);
      std::fill(in_b.begin() + b0, in_b.begin() + b1, phrases_);
    }
  }
  const Ids &a_, &b_;
  int phrases_ = 0;
};

/// The official code diffs whole rows, prompt and padding included.
void check_signs(const json& c) {
  const std::size_t pairs = c["targets"].size() / 2;
  for (std::size_t i = 0; i < pairs; ++i) {
    INFO("pair " << i);
    const Ids chosen = c["targets"][i], rejected = c["targets"][i + pairs];
    const PhraseMarks marks(chosen, rejected);
    CHECK(marks.in_a == c["signs"][i].get<Ids>());
    CHECK(marks.in_b == c["signs"][i + pairs].get<Ids>());
  }
}

}  // namespace

TEST_CASE("rrpo: official loss with phrases from the diff", "[golden][losses][rrpo]") {
  const json file = golden("rrpo.json");
  for (const json& c : file["from_diff"]) {
    INFO(c["name"]);
    check_signs(c);
    for (const json& r : c["results"]) {
      INFO("alpha " << r["alpha"] << " beta " << r["beta"]);
      const RrpoLoss loss({.beta = r["beta"], .alpha = r["alpha"]});
      const SignedCase theirs = with_padding(c), ours = signed_case(c);
      const bool padding_counts =
          theirs.batch.chosen.logps.numel() + theirs.batch.rejected.logps.numel() >
          ours.batch.chosen.logps.numel() + ours.batch.rejected.logps.numel();
      if (!padding_counts) {
        check_result(c, r);
        continue;
      }
      // Where a phrase reaches into padding the official code adds the log-ratio of token id 0
      // there. With that token our loss is theirs.
      const Evaluation with = evaluate(loss, theirs.batch);
      CHECK(difference({with.loss}, {number(r["loss"])}) == "");
      CHECK(difference(with.pair_loss, flat(r["loss_per_pair"])) == "");
      CHECK(difference(numbers(theirs.logits.grad()), flat(r["grad_logits"])) == "");
      Numbers margin = flat(r["rewards_chosen"]);
      for (std::size_t i = 0; i < margin.size(); ++i) margin[i] -= number(r["rewards_rejected"][i]);
      CHECK(difference(with.margin, margin, {1e-10, 1e-10}) == "");
      CHECK(difference({with.metrics.at("rewards/chosen")}, {mean(r["rewards_chosen"])}) == "");
      // We never count padding: another loss on purpose, of every pair that has such a phrase.
      const Evaluation without = evaluate(loss, ours.batch);
      const auto tokens = [](const PreferenceBatch& batch, std::size_t i) {
        return batch.chosen.offsets[i + 1] - batch.chosen.offsets[i] +
               batch.rejected.offsets[i + 1] - batch.rejected.offsets[i];
      };
      for (std::size_t i = 0; i < margin.size(); ++i) {
        const bool padded = tokens(theirs.batch, i) > tokens(ours.batch, i);
        CHECK((std::abs(without.pair_loss[i] - number(r["loss_per_pair"][i])) > 1e-6) == padded);
      }
      // What does not depend on the phrases is the same.
      CHECK(difference({without.metrics.at("logps/chosen")}, {mean(r["logps_chosen"])}) == "");
      CHECK(difference({without.metrics.at("logps/rejected")}, {mean(r["logps_rejected"])}) == "");
      CHECK(difference({without.metrics.at("rrpo/tkl_chosen")}, {mean(r["kl_chosen"])}) == "");
      CHECK(difference({without.metrics.at("rrpo/tkl_rejected")}, {mean(r["kl_rejected"])}) == "");
    }
  }
}

namespace {

PreferenceBatch head_batch(const Numbers& chosen_mask, const Numbers& rejected_mask,
                           HeadFixture& fixture) {
  fixture.batch.chosen.span_mask = vector(chosen_mask).gt(0.5);
  fixture.batch.rejected.span_mask = vector(rejected_mask).gt(0.5);
  return fixture.batch;
}

double rrpo_value(const RrpoOptions& options, const Numbers& chosen_mask,
                  const Numbers& rejected_mask) {
  HeadFixture fixture = fixture_head();
  return evaluate(RrpoLoss(options), head_batch(chosen_mask, rejected_mask, fixture)).loss;
}

}  // namespace

TEST_CASE("rrpo: worked numbers of a vocabulary of five", "[losses][rrpo]") {
  // Plain Python doubles; masks are the diff of ids [1,3,0,2] and [1,4,2].
  HeadFixture fixture = fixture_head();
  const RrpoLoss loss({.beta = 0.1, .alpha = 0.05});
  const Evaluation got = evaluate(loss, head_batch({0, 1, 1, 0}, {0, 1, 0}, fixture));
  CHECK(difference({got.loss}, {.72789341}, {0, 1e-8}) == "");
  CHECK(difference(got.margin, {-.06170708}, {0, 1e-8}) == "");
  CHECK(difference({got.metrics.at("rrpo/tkl_chosen")}, {.06833587}, {0, 1e-8}) == "");
  CHECK(difference({got.metrics.at("rrpo/tkl_rejected")}, {.03817445}, {0, 1e-8}) == "");
  CHECK(got.metrics.at("rrpo/span_tokens_chosen") == 2.0);
  CHECK(got.metrics.at("rrpo/span_tokens_rejected") == 1.0);
  CHECK(difference({got.metrics.at("rrpo/coverage")}, {3.0 / 7.0}) == "");
  CHECK(got.metrics.at("rrpo/empty_diff") == 0.0);
  CHECK(difference({fixture.head.grad().norm().item<double>()}, {.1019251}, {0, 1e-7}) == "");
  const Numbers head = numbers(fixture.head.grad());
  CHECK(difference({head.begin(), head.begin() + 6},
                   {.01265453, -.06302772, -.01806899, -.02458673, .05184902, .01344613},
                   {0, 1e-8}) == "");

  CHECK(difference({rrpo_value({.alpha = 0.05}, {0, 0, 0, 0}, {0, 0, 0})}, {.69656397},
                   {0, 1e-8}) == "");
  CHECK(difference({rrpo_value({.alpha = 0.0}, {0, 0, 0, 0}, {0, 1, 0})}, {.70116305}, {0, 1e-8}) ==
        "");
}

TEST_CASE("rrpo: everything in spans and no KL is dpo", "[losses][rrpo]") {
  HeadFixture ours = fixture_head(), theirs = fixture_head();
  const double loss =
      evaluate(RrpoLoss({.alpha = 0.0}), head_batch({1, 1, 1, 1}, {1, 1, 1}, ours)).loss;
  CHECK(loss == evaluate(DpoLoss({}), theirs.batch).loss);
  CHECK(difference(numbers(ours.head.grad()), numbers(theirs.head.grad()), {0, 0}) == "");
}

TEST_CASE("rrpo: tokens outside of spans get no ranking gradient", "[losses][rrpo]") {
  const PreferenceBatch batch = random_batch(5, 3);
  evaluate(RrpoLoss({.alpha = 0.2}), batch);
  for (const ResponseSide* side : {&batch.chosen, &batch.rejected}) {
    const Numbers gradient = numbers(side->logps.grad()), mask = numbers(side->span_mask);
    for (std::size_t i = 0; i < mask.size(); ++i) CHECK((gradient[i] != 0.0) == (mask[i] != 0.0));
  }
  // d/d kl of the batch mean: alpha / B on chosen tokens, nothing on rejected ones.
  CHECK(difference(numbers(batch.chosen.kl.grad()), Numbers(batch.chosen.offsets.back(), 0.04)) ==
        "");
  CHECK_FALSE(batch.rejected.kl.grad().defined());
}
