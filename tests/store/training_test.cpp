#include "store/training.hpp"

#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

namespace {

struct TrainStore : SmallStore {
  std::int64_t a = add(sample(first, 0, "a")), b = add(sample(first, 1, "b"));
  std::int64_t set = write_pair_set(db, {0, iteration, "train", "max_min", std::nullopt, "{}"},
                                    {{0, 0, first, a, b, 0.5, 1.0, std::nullopt}}, {});
  std::int64_t pair = active_pairs(db, set).at(0).id;

  StepRow step(std::int64_t number) const {
    StepRow row;
    row.run_id = run;
    row.iteration_id = iteration;
    row.global_step = number;
    row.epoch = 0.25 * static_cast<double>(number);
    row.learning_rate = 1e-6;
    row.loss = 0.69;
    row.grad_norm = 12.0;
    row.tokens = 512;
    row.wall_ms = 100;
    row.rss_bytes = 1 << 20;
    row.metrics = {{"rewards/margins", 0.1}, {"rewards/accuracies", 1.0}};
    row.ledger = {{pair, 0.69, 0.1, -10.0, -12.0},
                  {pair, 0.68, 0.2, -10.0, -12.0}};  // a pair may be visited twice
    return row;
  }
};

}  // namespace

TEST_CASE("A step is stored with metrics and ledger", "[unit]") {
  TrainStore store;
  CHECK_FALSE(last_step(store.db, store.run).has_value());
  add_step(store.db, store.step(1));
  StepRow bare = store.step(2);
  bare.loss.reset();
  bare.grad_norm.reset();
  bare.metrics.clear();
  bare.ledger.clear();
  add_step(store.db, bare);
  CHECK(last_step(store.db, store.run) == 2);
  CHECK(text(store.db,
             "SELECT epoch||' '||lr||' '||loss||' '||grad_norm||' '||tokens||' '||wall_ms||' "
             "'||rss_bytes FROM steps WHERE global_step=1") ==
        "0.25 1.0e-06 0.69 12.0 512 100 1048576");
  CHECK(integer(store.db,
                "SELECT loss IS NULL AND grad_norm IS NULL FROM steps WHERE global_step=2") == 1);
  CHECK(text(store.db, "SELECT group_concat(name||'='||value) FROM step_metrics") ==
        "rewards/accuracies=1.0,rewards/margins=0.1");
  CHECK(text(store.db,
             "SELECT group_concat(loss||' '||margin||' '||logp_chosen||' '||logp_rejected) FROM "
             "step_pairs") == "0.69 0.1 -10.0 -12.0,0.68 0.2 -10.0 -12.0");
}

TEST_CASE("A step is whole or not at all", "[unit]") {
  TrainStore store;
  add_step(store.db, store.step(1));
  CHECK_THROWS_AS(add_step(store.db, store.step(1)), SqlError);
  StepRow bad = store.step(2);
  bad.metrics.emplace_back("logps/chosen", std::nan(""));
  CHECK_THROWS_WITH(add_step(store.db, bad),
                    Contains("step 2") && Contains("logps/chosen") && Contains("nan"));
  bad = store.step(2);
  bad.ledger.push_back({99, 0, 0, 0, 0});
  CHECK_THROWS_AS(add_step(store.db, bad), SqlError);
  bad = store.step(2);
  bad.loss = std::nan("");
  CHECK_THROWS_WITH(add_step(store.db, bad), Contains(":loss"));
  CHECK(integer(store.db, "SELECT count(*) FROM steps") == 1);
  CHECK(integer(store.db, "SELECT count(*) FROM step_metrics") == 2);
  CHECK(integer(store.db, "SELECT count(*) FROM step_pairs") == 2);
}

TEST_CASE("Steps after a restored checkpoint are forgotten with all that hangs on them", "[unit]") {
  TrainStore store;
  for (int number = 1; number <= 5; ++number) add_step(store.db, store.step(number));
  const auto later = create_iteration(store.db, {0, store.run, 2, "train", {}, {}, {}}, "{}");
  StepRow other = store.step(6);
  other.iteration_id = later;
  add_step(store.db, other);

  remove_steps_after(store.db, store.run, store.iteration, 3);
  CHECK(text(store.db, "SELECT group_concat(global_step) FROM steps") ==
        "1,2,3,6");  // the other iteration's step stays
  CHECK(integer(store.db, "SELECT count(*) FROM step_metrics") == 8);
  CHECK(integer(store.db, "SELECT count(*) FROM step_pairs") == 8);
  remove_steps_after(store.db, store.run, later, 0);
  CHECK(last_step(store.db, store.run) == 3);
  CHECK_NOTHROW(add_step(store.db, store.step(4)));
  remove_steps_after(store.db, store.run, store.iteration, 0);
  CHECK_FALSE(last_step(store.db, store.run).has_value());
}

TEST_CASE("Evaluations are replaced by name and listed by iteration", "[unit]") {
  SmallStore store;
  const auto zero = create_iteration(store.db, {0, store.run, 0, "done", {}, {}, {}}, "{}");
  EvaluationRow row;
  row.run_id = store.run;
  row.iteration_id = store.iteration;
  row.checkpoint_id = store.base;
  row.suite = "heldout";
  row.metric = "reward/mean";
  row.value = 0.4;
  add_evaluation(store.db, row);
  row.value = 0.5;
  row.ci_low = 0.45;
  row.ci_high = 0.55;
  row.n = 44;
  row.detail = R"({"seed":1})";
  add_evaluation(store.db, row);
  EvaluationRow start = row;
  start.iteration_id = zero;
  start.ci_low.reset();
  start.ci_high.reset();
  start.n.reset();
  start.checkpoint_id.reset();
  start.detail.clear();
  add_evaluation(store.db, start);

  const auto all = evaluations(store.db, store.run);
  REQUIRE(all.size() == 2);
  CHECK(all[0].first == 0);
  CHECK_FALSE(all[0].second.ci_low.has_value());
  CHECK(all[0].second.detail.empty());
  CHECK(all[1].first == 1);
  const EvaluationRow& back = all[1].second;
  CHECK(back.run_id == store.run);
  CHECK(back.iteration_id == store.iteration);
  CHECK(back.checkpoint_id == store.base);
  CHECK(back.suite == "heldout");
  CHECK(back.metric == "reward/mean");
  CHECK(back.value == 0.5);
  CHECK(back.ci_low == 0.45);
  CHECK(back.ci_high == 0.55);
  CHECK(back.n == 44);
  CHECK(back.detail == R"({"seed":1})");

  row.ci_high.reset();
  CHECK_THROWS_AS(add_evaluation(store.db, row), SqlError);  // an interval has two ends
  row.ci_low.reset();
  row.value = std::nan("");
  CHECK_THROWS_WITH(add_evaluation(store.db, row), Contains(":value"));
}
