#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "store/consistency.hpp"
#include "store/pairs.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Arguments = std::vector<std::string>;

Arguments with_cream(const Arguments& more = {}) {
  Arguments all{"--score.modules=length, cream", "--score.train_modules=cream",
                "--score.primary=length", "--pair.module=cream", "--consistency.rate=dyn"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// A run of two iterations with CREAM.
struct CreamRun {
  test::TinyRun tiny;
  RunContext context;
  explicit CreamRun(const Arguments& arguments) : context(tiny.config(arguments)) {
    run_loop(context);
  }
  store::Iteration iteration(int index) const {
    return *store::find_iteration(context.db, context.run.id, index);
  }
  std::int64_t count(const std::string& sql) const { return tiny.count(context.db, sql); }
  /// Kendall agreement of two rankers on a prompt, from the stored scores: (tau-a + 1) / 2.
  double kendall(int index, std::int64_t prompt) const {
    std::map<std::int64_t, double> a, b;
    for (const auto& row : store::rankings(context.db, iteration(index).id, prompt, "cur"))
      a[row.sample_id] = *row.score;
    for (const auto& row : store::rankings(context.db, iteration(index).id, prompt, "prev"))
      b[row.sample_id] = *row.score;
    int sum = 0, pairs = 0;
    for (const auto& [i, score] : a) {
      for (const auto& [j, other] : a) {
        if (i >= j) continue;
        const double product = (score - other) * (b.at(i) - b.at(j));
        sum += (product > 0) - (product < 0);
        ++pairs;
      }
    }
    return (static_cast<double>(sum) / pairs + 1) / 2;
  }
  /// Soft labels by prompt.
  std::map<std::int64_t, double> labels(int index) const {
    auto query = context.db.prepare(
        "SELECT prompt_id, soft_label FROM pairs JOIN pair_sets USING(pair_set_id) WHERE "
        "iteration_id=?");
    query.bind(iteration(index).id);
    std::map<std::int64_t, double> out;
    while (query.step()) out[query.integer(0)] = query.real(1);
    return out;
  }
};

TEST_CASE("agreement: ranks, consistency and labels of the policy and the one before it",
          "[pipeline][cream][unit]") {
  const CreamRun run(with_cream());
  CHECK(run.count("SELECT count(*) FROM rankings WHERE ranker='cur'") == 24);
  CHECK(run.count("SELECT count(*) FROM rankings WHERE ranker='prev'") == 24);
  CHECK(run.count("SELECT count(*) FROM rankings WHERE ranker='cur' AND rank=1") == 8);
  for (const char* metric : {"kendall", "spearman", "toporder"})
    CHECK(run.count(std::string("SELECT count(*) FROM consistency WHERE ranker_a='cur' AND "
                                "ranker_b='prev' AND metric='") +
                    metric + "'") == 8);
  // In the first iteration policy, previous and reference are one model: its mean log-probs rank.
  for (const auto& [prompt, label] : run.labels(1)) CHECK(label == 1.0);
  bool differs = false;
  for (const auto& row : store::consistency(run.context.db, run.iteration(2).id, "kendall")) {
    if (row.ranker_a != "cur") continue;
    CHECK(row.value == Approx(run.kendall(2, row.prompt_id)));
    differs = differs || row.value < 1.0;
    const auto labels = run.labels(2);
    if (labels.contains(row.prompt_id)) CHECK(labels.at(row.prompt_id) == row.value);
  }
  CHECK(differs);
  // Pairs go by the policy's self-reward: best against worst.
  auto chosen = run.context.db.prepare(
      "SELECT count(*), sum(c.rank=1), sum(r.rank=3) FROM pairs p JOIN pair_sets s "
      "USING(pair_set_id) JOIN rankings c ON c.sample_id=p.chosen_id AND c.ranker='cur' JOIN "
      "rankings r ON r.sample_id=p.rejected_id AND r.ranker='cur'");
  REQUIRE(chosen.step());
  CHECK(chosen.integer(0) == 8);
  CHECK(chosen.integer(1) == 8);
  CHECK(chosen.integer(2) == 8);
  // cream is a training module: evaluations have no scores of it.
  CHECK(run.count("SELECT count(*) FROM reward_rollup JOIN reward_modules USING(module_id) WHERE "
                  "name='cream' AND suite<>'train'") == 0);
}

TEST_CASE("agreement: the average is over all prompts, also those whose pair is dropped",
          "[pipeline][cream][unit]") {
  const test::TinyRun tiny;
  const Arguments arguments = with_cream({"--consistency.rate=avg"});
  {
    RunContext context(tiny.config(arguments));
    run_loop(context);
  }
  Arguments strict = arguments;
  strict.insert(strict.end(), {"--pair.set=strict", "--pair.min_margin=1e9"});
  RunContext context(tiny.config(strict), "pair");
  run_single_phase(context, "pair", 2);
  const auto iteration = *store::find_iteration(context.db, context.run.id, 2);
  double sum = 0;
  int prompts = 0;
  for (const auto& row : store::consistency(context.db, iteration.id, "kendall")) {
    if (row.ranker_a != "cur") continue;
    sum += row.value;
    ++prompts;
  }
  REQUIRE(prompts == 4);
  for (const char* name : {"train", "strict"}) {
    const auto set = store::find_pair_set(context.db, iteration.id, name);
    const auto config = nlohmann::json::parse(set->config);
    CHECK(config.at("consistency").at("kendall").at("mean").get<double>() == Approx(sum / prompts));
    auto query = context.db.prepare(
        "SELECT count(*), min(soft_label), max(soft_label), count(dropped) FROM pairs WHERE "
        "pair_set_id=?");
    REQUIRE(query.bind(set->id).step());
    CHECK(query.integer(0) == 4);
    CHECK(query.real(1) == Approx(sum / prompts));
    CHECK(query.real(2) == Approx(sum / prompts));
    CHECK(query.integer(3) == (std::string(name) == "strict" ? 4 : 0));
  }
}

TEST_CASE("agreement: fixed labels are measured all the same, off is not",
          "[pipeline][cream][unit]") {
  const CreamRun fixed(with_cream({"--consistency.rate=fixed", "--consistency.fixed_rate=0.8"}));
  for (const auto& [prompt, label] : fixed.labels(2)) CHECK(label == 0.8);
  CHECK(fixed.count("SELECT count(*) FROM consistency WHERE metric='kendall' AND ranker_a='cur'") ==
        8);
  const CreamRun off(with_cream({"--consistency.rate=off", "--pair.soft_label=0.9"}));
  for (const auto& [prompt, label] : off.labels(2)) CHECK(label == 0.9);
  CHECK(off.count("SELECT count(*) FROM rankings") == 0);
}

TEST_CASE("agreement: labels reach the loss", "[pipeline][cream][unit]") {
  const auto trained = [](const char* label) {
    const CreamRun run(with_cream({"--run.iterations=1", "--consistency.rate=fixed",
                                   std::string("--consistency.fixed_rate=") + label}));
    auto query = run.context.db.prepare(
        "SELECT value FROM evaluations WHERE metric='objective/kl' AND suite='heldout' AND "
        "checkpoint_id>1");
    REQUIRE(query.step());
    return std::abs(query.real(0));
  };
  // A label of one half asks for a margin of zero, where training begins: nothing moves far.
  CHECK(trained("1") > 3 * trained("0.5"));
}

TEST_CASE("agreement: a first iteration may go without", "[pipeline][cream][unit]") {
  const CreamRun run(with_cream({"--cream.first_iteration=skip", "--pair.module=length"}));
  for (const auto& [prompt, label] : run.labels(1)) CHECK(label == 1.0);
  const std::string first =
      "SELECT count(*) FROM consistency JOIN iterations USING(iteration_id) "
      "WHERE ranker_a='cur' AND idx=";
  CHECK(run.count(first + "1") == 0);
  // The previous policy of the second iteration is the reference as well.
  CHECK(run.count(first + "2") == 0);
}

TEST_CASE("agreement: a smallest label, and modules that do not fit", "[pipeline][cream][unit]") {
  const CreamRun run(with_cream({"--consistency.min_rate=1"}));
  for (const auto& [prompt, label] : run.labels(2)) CHECK(label == 1.0);
  const auto refusal = [&](const Arguments& arguments) {
    try {
      run.tiny.config(arguments);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("nothing thrown");
  };
  CHECK_THAT(refusal({"--consistency.rate=avg"}), Catch::Matchers::Contains("cream"));
  CHECK_THAT(refusal(with_cream({"--cream.previous="})), Catch::Matchers::Contains("previous"));
  CHECK_THAT(refusal({"--score.train_modules=cream"}), Catch::Matchers::Contains("score.modules"));
  CHECK_THAT(refusal({"--score.train_modules=length"}), Catch::Matchers::Contains("score.primary"));
}

}  // namespace
}  // namespace plumb
