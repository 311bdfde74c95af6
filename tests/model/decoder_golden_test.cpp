#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <tuple>

#include "model/decoder.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using kernels::Precision;

struct Text {
  std::vector<std::int32_t> ids;
  RaggedBatch batch;
  TokenRows rows;
};

Text make_text(const std::vector<std::int32_t>& ids) {
  RaggedBuilder builder;
  builder.want_logprobs(builder.add(ids));
  return {ids, builder.batch(), builder.rows()};
}

const Checkpoint& smollm2() {
  static const Checkpoint checkpoint =
      load_checkpoint(test::model_path("smollm2-135m-instruct").string());
  return checkpoint;
}

/// Entropy of the distribution after every position, the last one included.
at::Tensor entropies(const Decoder& model, const at::Tensor& hidden) {
  const at::Tensor logp = model.logits(hidden).to(at::kDouble).log_softmax(1);
  return -(logp.exp() * logp).sum(1);
}

// Numbers of transformers 5.23.0, tests/golden/smollm2_forward.json; tolerances of
// tests/golden/README.md.
TEST_CASE("SmolLM2 forward equals transformers in float32", "[model][golden]") {
  const at::NoGradGuard no_grad;
  const auto golden = test::golden("smollm2_forward.json");
  const Decoder model(smollm2().config, smollm2().weights, Precision::kFloat32, false);
  const auto& config = golden.at("config");
  CHECK(model.config().hidden_size == config.at("hidden_size"));
  CHECK(model.config().intermediate_size == config.at("intermediate_size"));
  CHECK(model.config().num_layers == config.at("num_hidden_layers"));
  CHECK(model.config().num_heads == config.at("num_attention_heads"));
  CHECK(model.config().num_kv_heads == config.at("num_key_value_heads"));
  CHECK(model.config().vocab_size == config.at("vocab_size"));
  CHECK(model.config().tie_word_embeddings == config.at("tie_word_embeddings"));
  CHECK(model.config().rms_norm_eps == Approx(config.at("rms_norm_eps").get<double>()));
  const auto rope = nlohmann::json::parse(config.at("rope").get<std::string>());
  CHECK(model.config().rope_theta == rope.at("rope_theta"));
  CHECK(model.config().rope_scaling.type == rope.at("rope_type"));
  for (const auto& expected : golden.at("texts")) {
    const Text text = make_text(expected.at("ids"));
    CHECK(smollm2().tokenizer->encode_template(expected.at("text").get<std::string>(), {}) ==
          text.ids);
    const at::Tensor hidden = model.hidden(text.batch);
    const at::Tensor logprobs = model.token_stats(hidden, text.rows).logprobs;
    double sum = 0.0;
    for (std::size_t t = 0; t < expected.at("logprobs").size(); ++t) {
      const double value = logprobs[static_cast<std::int64_t>(t)].item<double>();
      sum += value;
      CHECK(value == Approx(test::number(expected.at("logprobs")[t])).margin(1e-4).epsilon(0));
    }
    CHECK(sum == Approx(test::number(expected.at("sum_logprobs"))).margin(1e-3).epsilon(0));
    const at::Tensor entropy = entropies(model, hidden);
    for (std::size_t t = 0; t < expected.at("entropy").size(); ++t) {
      CHECK(entropy[static_cast<std::int64_t>(t)].item<double>() ==
            Approx(test::number(expected.at("entropy")[t])).margin(1e-4).epsilon(0));
    }
    for (const auto& top : expected.at("top5")) {
      const at::Tensor logits = model.logits(hidden.narrow(0, top.at("position"), 1))[0];
      CHECK(logits.to(at::kDouble).logsumexp(0).item<double>() ==
            Approx(test::number(top.at("logsumexp"))).margin(2e-4).epsilon(0));
      CHECK(std::get<1>(logits.topk(5))
                .equal(at::tensor(top.at("ids").get<std::vector<std::int64_t>>(), at::kLong)));
      for (std::size_t k = 0; k < top.at("ids").size(); ++k) {
        CHECK(logits[top.at("ids")[k].get<std::int64_t>()].item<double>() ==
              Approx(test::number(top.at("logits")[k])).margin(2e-4).epsilon(0));
      }
    }
  }
}

TEST_CASE("SmolLM2 greedy chats: prompts, texts and the gaps of the choice", "[model][golden]") {
  const at::NoGradGuard no_grad;
  const auto golden = test::golden("smollm2_forward.json");
  const Decoder model(smollm2().config, smollm2().weights, Precision::kFloat32, false);
  CHECK(test::golden("chat_templates.json").at("template") == smollm2().chat_template_jinja);
  const ChatTemplate chat = ChatTemplate::detect(smollm2().chat_template_jinja);
  for (const auto& expected : golden.at("greedy")) {
    const std::string question = expected.at("prompt");
    INFO(question);
    const std::vector<std::int32_t> prompt = expected.at("prompt_ids");
    const std::vector<std::int32_t> ids = expected.at("continuation_ids");
    CHECK(chat.encode(*smollm2().tokenizer, std::vector<Message>{{"user", question}}, true) ==
          prompt);
    CHECK(smollm2().tokenizer->decode(ids) == expected.at("continuation").get<std::string>());
    RaggedBuilder builder;
    builder.want_logprobs(builder.add(ids, builder.add(prompt)));
    const at::Tensor hidden = model.hidden(builder.batch());
    const at::Tensor best =
        std::get<0>(model.logits(hidden.index_select(0, builder.rows().rows)).topk(2));
    const at::Tensor gap = best.select(1, 0) - best.select(1, 1);
    REQUIRE(expected.at("top1_minus_top2").size() == ids.size());
    for (std::size_t t = 0; t < ids.size(); ++t) {
      CHECK(gap[static_cast<std::int64_t>(t)].item<double>() ==
            Approx(test::number(expected.at("top1_minus_top2")[t])).margin(4e-4).epsilon(0));
    }
  }
}

TEST_CASE("SmolLM2 in bfloat16 stays close to float32", "[model]") {
  const at::NoGradGuard no_grad;
  const auto golden = test::golden("smollm2_forward.json");
  const Decoder model(smollm2().config, smollm2().weights, Precision::kBFloat16, false);
  double worst = 0.0, total = 0.0, count = 0.0;
  for (const auto& expected : golden.at("texts")) {
    const Text text = make_text(expected.at("ids"));
    const at::Tensor logprobs = model.token_stats(text.batch, text.rows).logprobs;
    for (std::size_t t = 0; t < expected.at("logprobs").size(); ++t) {
      const double error = std::abs(logprobs[static_cast<std::int64_t>(t)].item<double>() -
                                    test::number(expected.at("logprobs")[t]));
      worst = std::max(worst, error);
      total += error;
      count += 1.0;
    }
  }
  // Measured: mean 0.02, worst 0.3 nats (weights rounded to eight bits; a confident model moves
  // most on rare tokens).
  INFO("mean " << total / count << " worst " << worst);
  CHECK(total / count < 0.04);
  CHECK(worst < 0.6);
}

}  // namespace
}  // namespace plumb
