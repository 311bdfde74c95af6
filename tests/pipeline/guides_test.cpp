#include "pipeline/guides.hpp"

#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/tiny_run.hpp"
#include "store/samples.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;

/// A tiny run whose policy is steered by a narrower model.
struct GuidedRun : test::TinyRun {
  std::string guide = (dir / "guide").string();
  GuidedRun() { test::write_tiny_policy(dir / "guide", 5, test::narrow_policy_config()); }
  RunConfig guided(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--guide.models=" + guide + ":3", "--run.iterations=1",
                               "--guide.scales=0.5, 2", "--eval.cool_temperature=0"});
    return config(more);
  }
};

/// Log-probs of a response under one model alone, with the shared continuation.
std::vector<float> logps_under(RunContext& context, const Decoder& model,
                               const store::SampleRow& sample) {
  TrainingPair pair;
  for (const store::PromptRow& prompt :
       store::run_prompts(context.db, context.run.id, kHeldout, 0)) {
    if (prompt.id == sample.prompt_id) pair.prompt = prompt.ids;
  }
  pair.chosen.ids = pair.rejected.ids = sample.ids;
  const TrainingPair* one = &pair;
  return pair_logps(model, {&one, 1}, 4096).chosen.front();
}

TEST_CASE("guide: a name is a model and perhaps a weight", "[unit]") {
  CHECK(parse_guide("a/b:0.5", "o").model == "a/b");
  CHECK(parse_guide("a/b:0.5", "o").alpha == 0.5);
  CHECK(parse_guide("a/b:-1", "o").alpha == -1.0);
  CHECK(parse_guide("a:b", "o").model == "a:b");
  CHECK(parse_guide("a", "o").alpha == 1.0);
  CHECK_THROWS_WITH(parse_guide(":2", "--guide"), Contains("--guide = :2"));
}

TEST_CASE("guide: a narrow model steers rollout and evaluation of a wider one",
          "[pipeline][unit]") {
  GuidedRun tiny;
  RunContext context(tiny.guided());
  run_loop(context);
  const store::Database& db = context.db;
  CHECK(tiny.count(db, "SELECT count(*) FROM checkpoints WHERE role='reward'") == 1);
  CHECK(tiny.count(db, "SELECT count(*) FROM iterations WHERE sampling LIKE '%guide:3%'") == 2);
  // Steered samples have two different log-probs, others one and the same.
  CHECK(tiny.count(db,
                   "SELECT count(*) FROM samples WHERE (suite='heldout')=(abs(logp_policy-"
                   "logp_sampling)>1e-4)") == 0);
  for (const char* suite : {"heldout", "heldout-guided-0.5", "heldout-guided-2"})
    CHECK(store::samples(db, 1, suite).size() == 8);
  CHECK(tiny.count(db,
                   "SELECT count(*) FROM evaluations JOIN iterations USING(iteration_id) WHERE "
                   "suite LIKE 'heldout-guided-%' AND metric IN ('reward/difference', "
                   "'r3/difference') AND idx=0") == 4);

  // Policy log-probs are those of the policy alone: steered ones are kept beside them.
  const store::SampleRow sample = store::samples(db, 1, "heldout-guided-2").front();
  const std::vector<float> alone =
      logps_under(context, context.frozen(context.initial_checkpoint()), sample);
  for (std::size_t t = 0; t < alone.size(); ++t)
    CHECK(static_cast<double>(alone[t]) == Approx(sample.logp_policy[t]).margin(1e-3));
  // The guide likes what it steered to better than what was sampled without it.
  const Decoder& guide = *context.guides()->all().front().model->decoder;
  const auto mean_logp = [&](const char* suite) {
    double sum = 0.0, tokens = 0.0;
    for (const store::SampleRow& row : store::samples(db, 1, suite)) {
      const std::vector<float> values = logps_under(context, guide, row);
      sum += std::accumulate(values.begin(), values.end(), 0.0);
      tokens += static_cast<double>(values.size());
    }
    return sum / tokens;
  };
  CHECK(mean_logp("heldout-guided-2") > mean_logp("heldout") + 0.1);
}

TEST_CASE("guide: other weights than before, and other vocabularies, are refused",
          "[pipeline][unit]") {
  GuidedRun tiny;
  {
    RunContext context(tiny.guided());
    run_loop(context);
  }
  test::write_tiny_policy(tiny.dir / "guide", 6, test::narrow_policy_config());
  RunContext context(tiny.guided());
  CHECK_THROWS_WITH(context.guides(), Contains("other weights"));

  const auto file = tiny.dir / "guide" / "tokenizer.json";
  nlohmann::json tokenizer = nlohmann::json::parse(std::ifstream(file));
  auto& vocab = tokenizer.at("model").at("vocab");
  std::swap(vocab.at("a"), vocab.at("b"));
  std::ofstream(file) << tokenizer.dump();
  CHECK_THROWS_WITH(context.guides(), Contains("token 100 is \"a\"") && Contains("guide.models"));
}

}  // namespace
}  // namespace plumb
