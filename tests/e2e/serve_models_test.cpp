#include "cli/serve_models.hpp"

#include "cli/serve_policy.hpp"
#include "model/checkpoint.hpp"
#include "support/files.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

/// What `plumb serve` holds in memory.

using namespace plumb;

TEST_CASE("policy, guides and modules of the same weights share one model", "[e2e]") {
  const test::TempDir folder;
  test::write_tiny_policy(folder / "policy");
  const std::string path = (folder / "policy").string();
  RewardContext context(64, resolve_model);
  const auto of_module = context.language_model(path, "genarm.model");
  const long before = of_module.use_count();
  GuideOptions guides;
  guides.models = {path + ":0.5"};
  const auto policy = cli::load_text_model(path, "auto", guides, context);
  CHECK(of_module.use_count() == before + 2);
  CHECK(policy->guide_prompts(std::vector<Message>{{"user", "hi"}}).size() == 1);

  service::ServeOptions options;
  options.modules = {"length"};
  options.policy = path;
  options.dtype = "float32";
  const auto models = cli::load_served_models(options, OptionValues{});
  CHECK(models->logprobs);
  CHECK(models->tokenizer.get() == &models->policy->tokenizer());
}
