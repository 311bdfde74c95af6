#include "pipeline/pair_inputs.hpp"

#include <cmath>

#include "core/error.hpp"
#include "losses/spans.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/pair_data.hpp"
#include "store/rewards.hpp"
#include "store/samples.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using test::TinyRun;

/// One iteration up to the end of the training.
struct Trained {
  TinyRun tiny;
  RunContext context;
  store::Iteration iteration;
  explicit Trained(std::vector<std::string> arguments)
      : context((arguments.push_back("--run.iterations=1"), tiny.config(arguments))) {
    run_loop(context);
    iteration = *store::find_iteration(context.db, context.run.id, 1);
  }
  double metric(const std::string& name, int step = 1) const {
    auto query = context.db.prepare(
        "SELECT value FROM step_metrics JOIN steps USING(step_id) WHERE name=? AND global_step=?");
    REQUIRE(query.bind(name, step).step());
    return query.real(0);
  }
};

std::vector<std::string> with_treg(std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--run.iterations=1", "--loss.modifier=treg"});
  return more;
}

TEST_CASE("pair inputs: key spans are those of the two responses, and are trained on",
          "[pipeline][unit]") {
  Trained run({"--loss.name=rrpo", "--train.warmup_steps=0"});
  const PairSelection selection = select_pairs(run.context, run.iteration);
  const auto pairs = load_pairs(run.context, selection.pairs);
  REQUIRE(pairs.size() >= 2);
  double span_tokens = 0.0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto expected = find_spans(pairs[i].chosen.ids, pairs[i].rejected.ids).spans;
    const auto stored = store::pair_spans(run.context.db, selection.pairs[i].id);
    REQUIRE(stored.size() == expected.size());
    for (std::size_t k = 0; k < stored.size(); ++k) {
      CHECK(DiffSpan{stored[k].chosen_begin, stored[k].chosen_end, stored[k].rejected_begin,
                     stored[k].rejected_end} == expected[k]);
      span_tokens += static_cast<double>(stored[k].chosen_end - stored[k].chosen_begin);
    }
  }
  CHECK(span_tokens > 0.0);
  CHECK(run.metric("rrpo/span_tokens_chosen") > 0.0);
  CHECK(run.metric("rrpo/tkl_chosen") == Approx(0.0).margin(1e-4));
  CHECK(run.metric("rrpo/tkl_chosen", 2) > 0.0);
}

TEST_CASE("pair inputs: spans that the data gave stay as they are", "[pipeline][unit]") {
  Trained run({});
  const PairSelection selection = select_pairs(run.context, run.iteration);
  const auto pairs = load_pairs(run.context, selection.pairs);
  store::add_pair_span(run.context.db, {selection.pairs[0].id, 0, 0, 1, 0, 2});
  annotate_spans(run.context, selection.pairs, pairs);
  const auto stored = store::pair_spans(run.context.db, selection.pairs[0].id);
  REQUIRE(stored.size() == 1);
  CHECK(stored[0].rejected_end == 2);
  const auto before = run.tiny.count(run.context.db, "SELECT count(*) FROM pair_spans");
  annotate_spans(run.context, selection.pairs, pairs);
  CHECK(run.tiny.count(run.context.db, "SELECT count(*) FROM pair_spans") == before);
}

TEST_CASE("pair inputs: only paired responses get token rewards, one a token", "[pipeline][unit]") {
  TinyRun tiny;
  RunContext context(tiny.config(with_treg()));
  run_loop(context);
  const auto iteration = *store::find_iteration(context.db, context.run.id, 1);
  const PairSelection selection = select_pairs(context, iteration);
  auto pairs = load_pairs(context, selection.pairs);
  REQUIRE(pairs.size() >= 2);
  CHECK(tiny.count(context.db, "SELECT count(*) FROM token_rewards") ==
        2 * static_cast<std::int64_t>(pairs.size()));
  add_loss_inputs(context, {.token_rewards = true}, iteration, selection.pairs, pairs);
  for (const TrainingPair& pair : pairs) {
    REQUIRE(pair.chosen.token_rewards.size() == pair.chosen.ids.size());
    REQUIRE(pair.rejected.token_rewards.size() == pair.rejected.ids.size());
    for (const float value : pair.chosen.token_rewards) CHECK(std::abs(value) < 0.5F);
  }
  auto query =
      context.db.prepare("SELECT count(*) FROM step_metrics WHERE name='treg/rhat_mean_chosen'");
  query.step();
  CHECK(query.integer(0) > 0);
}

TEST_CASE("pair inputs: a module without token values is refused", "[pipeline][unit]") {
  TinyRun tiny;
  CHECK_THROWS_WITH(tiny.config(with_treg({"--loss.token_rewards=tregg"})),
                    Catch::Matchers::Contains("did you mean treg"));
  RunContext context(tiny.config(with_treg({"--loss.token_rewards=length"})));
  CHECK_THROWS_WITH(run_loop(context), Catch::Matchers::Contains("no value per token"));
}

TEST_CASE("pair inputs: a pair of which a response gets no token values is dropped with its reason",
          "[pipeline][unit]") {
  TinyRun tiny;
  RunContext context(tiny.config(with_treg()));
  run_loop(context);
  const auto iteration = *store::find_iteration(context.db, context.run.id, 1);
  std::vector<store::PairRow> rows = select_pairs(context, iteration).pairs;
  const std::size_t count = rows.size();
  store::SampleRow empty = *store::find_sample(context.db, rows[0].rejected_id);
  empty.k = 99;
  empty.text.clear();
  empty.ids.clear();
  empty.logp_policy.clear();
  empty.logp_sampling.clear();
  std::int64_t id = 0;
  {
    store::Transaction transaction(context.db);
    id = store::add_sample(context.db, empty);
    context.db.prepare("UPDATE pairs SET rejected_id=? WHERE pair_id=?").bind(id, rows[0].id).run();
    // Another response lacks its values as well, but can get them.
    context.db.prepare("DELETE FROM token_rewards WHERE sample_id=?").bind(rows[1].chosen_id).run();
    transaction.commit();
  }
  rows[0].rejected_id = id;
  annotate_token_rewards(context, iteration, rows);
  const auto left = select_pairs(context, iteration).pairs;
  REQUIRE(left.size() == count - 1);
  CHECK(left[0].id == rows[1].id);
  auto query = context.db.prepare("SELECT dropped FROM pairs WHERE pair_id=?");
  REQUIRE(query.bind(rows[0].id).step());
  CHECK(query.text(0) == "no_token_rewards");
}

TEST_CASE("pair inputs: gold answers are the reference answers with the end of turn",
          "[pipeline][unit]") {
  Trained run({});
  const PairSelection selection = select_pairs(run.context, run.iteration);
  auto pairs = load_pairs(run.context, selection.pairs);
  add_loss_inputs(run.context, {.baseline = true}, run.iteration, selection.pairs, pairs);
  std::size_t with_gold = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto prompt = store::find_prompt(run.context.db, selection.pairs[i].prompt_id);
    if (!prompt->reference_answer) {
      CHECK(pairs[i].baseline.empty());
      continue;
    }
    ++with_gold;
    std::vector<std::int32_t> expected = run.context.tokenizer().encode(*prompt->reference_answer);
    expected.push_back(2);  // <|im_end|> of the tiny policy
    CHECK(pairs[i].baseline == expected);
  }
  CHECK(with_gold > 0);
  CHECK(with_gold < pairs.size());
}

TEST_CASE("pair inputs: rapo draws the margin to the gap of the stored rewards",
          "[pipeline][unit]") {
  Trained run({"--loss.name=rapo", "--rapo.reward_scale=0.01", "--train.batch_size=64"});
  const PairSelection selection = select_pairs(run.context, run.iteration);
  REQUIRE(selection.pairs.size() >= 2);
  double expected = 0.0;
  for (const store::PairRow& row : selection.pairs) {
    const double p = 1.0 / (1.0 + std::exp(-0.01 * row.margin));  // against 1/2: z = 0 at first
    expected += p * std::log(2.0 * p) + (1.0 - p) * std::log(2.0 * (1.0 - p));
  }
  auto query = run.context.db.prepare("SELECT loss FROM steps WHERE global_step=1");
  REQUIRE(query.step());
  CHECK(query.real(0) ==
        Approx(expected / static_cast<double>(selection.pairs.size())).epsilon(1e-4));
}

TEST_CASE("pair inputs: rapo refuses imported pairs without scores", "[pipeline][unit]") {
  test::TinyRun tiny;
  test::write_tiny_pairs_config(tiny.dir / "pairs.ini", tiny.dir.path());
  std::ofstream(tiny.dir / "pairs.jsonl") << R"({"prompt":"Hi.","chosen":"yes","rejected":"no"})"
                                          << "\n";
  RunContext context(
      tiny.config({"--loss.name=rapo", "--data.heldout=0", "--run.iterations=1"}, "pairs.ini"));
  CHECK_THROWS_WITH(run_loop(context), Catch::Matchers::Contains("chosen_score"));
}

}  // namespace
}  // namespace plumb
