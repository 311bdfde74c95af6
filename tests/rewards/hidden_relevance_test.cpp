#include "rewards/hidden_relevance.hpp"

#include <ATen/ops/allclose.h>

#include <cmath>

#include "core/error.hpp"
#include "rewards/context.hpp"
#include "rewards/r3.hpp"
#include "support/files.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;

namespace {

struct TinyModel {
  test::TempDir dir;
  std::shared_ptr<const LanguageModel> model;
  TinyModel() {
    test::write_tiny_policy(dir / "policy");
    model = load_language_model(dir / "policy", kernels::Precision::kFloat32);
  }
};

}  // namespace

TEST_CASE("hidden relevance: a state is the mean over the text's own tokens",
          "[rewards][r3][unit]") {
  const TinyModel tiny;
  const HiddenRelevance backend(tiny.model, {}, true);
  const std::vector<std::string> texts{"abc"};
  // By hand: EOS stands before the text and is left out of the mean.
  std::vector<std::int32_t> ids = tiny.model->tokenizer->encode("abc");
  ids.insert(ids.begin(), *tiny.model->tokenizer->eos());
  RaggedBuilder builder;
  builder.add(ids);
  const at::Tensor hidden = tiny.model->decoder->hidden(builder.batch());
  CHECK(at::allclose(backend.states(texts)[0], hidden.narrow(0, 1, 3).mean({0}), 1e-6, 1e-7));
}

TEST_CASE("hidden relevance: cosine of states without their mean", "[rewards][r3][unit]") {
  const TinyModel tiny;
  const HiddenRelevance plain(tiny.model, {}, true);
  const std::vector<std::string> texts{"one text", "another text", "a third"};
  const std::vector<float> mean = mean_state(plain, texts);
  const HiddenRelevance centred(tiny.model, mean, true);
  const std::vector<TextPair> pairs{{texts[0], texts[0]}, {texts[0], texts[1]}, {texts[0], ""}};
  const auto before = plain.relevance(pairs), after = centred.relevance(pairs);
  CHECK_THAT(before[0], WithinAbs(1, 1e-6));
  CHECK_THAT(after[0], WithinAbs(1, 1e-6));
  CHECK(after[1] < before[1]);  // the part that all states share is gone
  CHECK(before[2] == 0);        // no tokens, no relevance
  CHECK(after[2] == 0);
  // By hand from the states.
  const at::Tensor states = plain.states(texts);
  const at::Tensor a = states[0].sub(states.mean({0})), b = states[1].sub(states.mean({0}));
  const double expected =
      a.dot(b).item<double>() / std::sqrt(a.dot(a).item<double>() * b.dot(b).item<double>());
  CHECK_THAT(after[1], WithinAbs(expected, 1e-5));
  CHECK(plain.content_hash() != centred.content_hash());
}

TEST_CASE("hidden relevance: long texts are cut to the context", "[rewards][r3][unit]") {
  const TinyModel tiny;
  const HiddenRelevance end(tiny.model, {}, true), beginning(tiny.model, {}, false);
  const std::string xs(600, 'x'), tail(511, 'y');
  const std::vector<TextPair> pairs{{xs + tail, tail}};
  CHECK_THAT(end.relevance(pairs)[0], WithinAbs(1, 1e-6));
  CHECK(beginning.relevance(pairs)[0] < 0.999);
  CHECK(end.windows("aa bb cc", 4) == std::vector<std::string>{"aa bb", "cc"});
}

TEST_CASE("hidden relevance: the mean is a file", "[rewards][r3][unit]") {
  const TinyModel tiny;
  const auto file = tiny.dir / "mean.safetensors";
  CHECK_THROWS_AS(read_mean_state(file), DataError);
  write_mean_state(file, {0.5F, -2});
  CHECK(read_mean_state(file) == std::vector<float>{0.5F, -2});
  CHECK_THROWS_AS(HiddenRelevance(tiny.model, {0.5F, -2}, true), DataError);
  CHECK_THROWS_AS(mean_state(HiddenRelevance(tiny.model, {}, true), {}), DataError);
  RewardContext context;
  R3Options options;
  options.backend = "lm_hidden";
  CHECK_THROWS_AS(R3Reward::make(options, context), UsageError);
  options.lm = (tiny.dir / "policy").string();
  CHECK(R3Reward::make(options, context)->content_hash() == tiny.model->content_hash);
}
