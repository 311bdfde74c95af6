// Sampling speed on token-id workloads. One JSON line a setting on stdout:
//   plumb_bench_decode WORKLOAD.jsonl [--model PATH] [--dtype bfloat16|float32] [--rows
//   1,4,16,32,64] [--prompts N]
//                      [--temperature T] [--top-p P] [--rounds N]
// A workload line is {"prompt": ids, "new_tokens": n}, a batch of B then takes the first B lines;
// or {"prompt": ids, "k": K, "response_lens": [K lengths]}, all lines of which run with B rows.
// Lengths are forced. Without --model: random weights of the SmolLM2-135M shape.
#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/strings.hpp"
#include "kernels/kernels.hpp"
#include "model/checkpoint.hpp"
#include "rollout/engine.hpp"

namespace plumb {
namespace {

/// Stands in where no text is needed.
class NoTokenizer : public Tokenizer {
 public:
  std::vector<std::int32_t> encode_template(std::string_view,
                                            std::vector<ProtectedSpan>) const override {
    return {};
  }
  std::string decode(std::span<const std::int32_t>, bool) const override { return {}; }
  std::string piece(std::int32_t) const override { return {}; }
  std::optional<std::int32_t> find(std::string_view) const override { return std::nullopt; }
  std::int32_t vocab_size() const override { return 0; }
  bool is_special(std::int32_t) const override { return false; }
  std::optional<std::int32_t> bos() const override { return std::nullopt; }
  std::optional<std::int32_t> eos() const override { return std::nullopt; }
  bool adds_bos() const override { return false; }
  void save(const std::filesystem::path&, const std::string&) const override {}
};

struct Arguments {
  std::string workload, model;
  std::map<std::string, std::string> options{
      {"--model", ""},    {"--dtype", "bfloat16"}, {"--rows", "1,4,16,32,64"},
      {"--prompts", "0"}, {"--temperature", "1"},  {"--top-p", "1"},
      {"--rounds", "3"}};

  Arguments(int count, char** values) {
    for (int i = 1; i < count; ++i) {
      const std::string given = values[i];
      if (!given.starts_with("--")) {
        workload = given;
      } else if (!options.contains(given) || i + 1 == count) {
        throw UsageError("unknown or incomplete option " + given);
      } else {
        options[given] = values[++i];
      }
    }
    if (workload.empty())
      throw UsageError(
          "usage: plumb_bench_decode WORKLOAD.jsonl [options]; see the top of bench/decode.cpp");
  }
  double number(const std::string& name) const { return std::stod(options.at(name)); }
};

std::vector<RolloutRequest> read_workload(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw DataError("cannot read " + path);
  std::vector<RolloutRequest> requests;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line);
    RolloutRequest request;
    request.prompt_ids = json.at("prompt").get<std::vector<std::int32_t>>();
    if (json.contains("new_tokens")) {
      request.limits = {json.at("new_tokens").get<std::int64_t>()};
    } else {
      request.limits = json.at("response_lens").get<std::vector<std::int64_t>>();
    }
    request.samples = static_cast<std::int64_t>(request.limits.size());
    request.stream = requests.size();
    requests.push_back(std::move(request));
  }
  return requests;
}

Checkpoint random_model() {
  Checkpoint checkpoint;
  ModelConfig& c = checkpoint.config;
  c.vocab_size = 49152;
  c.hidden_size = 576;
  c.intermediate_size = 1536;
  c.num_layers = 30;
  c.num_heads = 9;
  c.num_kv_heads = 3;
  c.head_dim = 64;
  c.max_position_embeddings = 2048;
  c.tie_word_embeddings = true;
  TensorMap& weights = checkpoint.weights;
  weights["model.embed_tokens.weight"] = at::randn({c.vocab_size, c.hidden_size}).mul_(0.04);
  weights["model.norm.weight"] = at::ones({c.hidden_size});
  for (std::int64_t i = 0; i < c.num_layers; ++i) {
    const std::string layer = cat("model.layers.", i, ".");
    const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t columns) {
      weights[layer + name + ".weight"] = at::randn({rows, columns}).mul_(0.04);
    };
    matrix("self_attn.q_proj", c.hidden_size, c.hidden_size);
    matrix("self_attn.k_proj", c.num_kv_heads * c.head_dim, c.hidden_size);
    matrix("self_attn.v_proj", c.num_kv_heads * c.head_dim, c.hidden_size);
    matrix("self_attn.o_proj", c.hidden_size, c.hidden_size);
    matrix("mlp.gate_proj", c.intermediate_size, c.hidden_size);
    matrix("mlp.up_proj", c.intermediate_size, c.hidden_size);
    matrix("mlp.down_proj", c.hidden_size, c.intermediate_size);
    weights[layer + "input_layernorm.weight"] = at::ones({c.hidden_size});
    weights[layer + "post_attention_layernorm.weight"] = at::ones({c.hidden_size});
  }
  return checkpoint;
}

struct Round {
  double prefill_tok_s, decode_tok_s, gen_tok_s;
};

Round measure(RolloutEngine& engine, std::span<const RolloutRequest> requests,
              const SamplingOptions& sampling) {
  std::int64_t samples = 0;
  for (const RolloutRequest& request : requests) samples += request.samples;
  const double start = monotonic_seconds();
  const RolloutStats stats =
      engine.generate(requests, sampling, {}, 1, 1, [](RolloutResponse&&) {});
  const double seconds = monotonic_seconds() - start;
  // The first token of each response comes from the prompt's pass.
  const auto decoded = static_cast<double>(stats.generated_tokens - samples);
  return {static_cast<double>(stats.prompt_tokens) / stats.prefill_seconds,
          decoded / stats.decode_seconds, static_cast<double>(stats.generated_tokens) / seconds};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(const Arguments& arguments) {
  std::vector<RolloutRequest> requests = read_workload(arguments.workload);
  const auto prompts = static_cast<std::size_t>(arguments.number("--prompts"));
  if (prompts > 0 && prompts < requests.size()) requests.resize(prompts);
  const bool sweep =
      std::ranges::all_of(requests, [](const RolloutRequest& r) { return r.samples == 1; });

  const std::string& path = arguments.options.at("--model");
  const std::string& dtype = arguments.options.at("--dtype");
  const Checkpoint checkpoint = path.empty() ? random_model() : load_checkpoint(path);
  const Decoder model(
      checkpoint.config, checkpoint.weights,
      dtype == "bfloat16" ? kernels::Precision::kBFloat16 : kernels::Precision::kFloat32, false);
  const NoTokenizer tokenizer;
  SamplingOptions sampling;
  sampling.temperature = arguments.number("--temperature");
  sampling.top_p = arguments.number("--top-p");

  for (const std::string& rows_text : split_list(arguments.options.at("--rows"))) {
    const std::int64_t rows = std::stoll(rows_text);
    RolloutEngine engine(model, tokenizer, {rows});
    const auto used =
        sweep ? std::span(requests).first(std::min(requests.size(), static_cast<std::size_t>(rows)))
              : std::span(requests);
    std::vector<double> prefill, decode, gen;
    for (int round = 0; round < static_cast<int>(arguments.number("--rounds")); ++round) {
      const Round result = measure(engine, used, sampling);
      prefill.push_back(result.prefill_tok_s);
      decode.push_back(result.decode_tok_s);
      gen.push_back(result.gen_tok_s);
    }
    std::cout << nlohmann::json{{"workload", arguments.workload},
                                {"model", path.empty() ? "random 135M" : path},
                                {"dtype", dtype},
                                {"kernels", kernels::instruction_set(model.precision())},
                                {"threads", at::get_num_threads()},
                                {"temperature", sampling.temperature},
                                {"top_p", sampling.top_p},
                                {"rows", rows},
                                {"prefill_tok_s", median(prefill)},
                                {"decode_tok_s", median(decode)},
                                {"decode_tok_s_best", std::ranges::max(decode)},
                                {"gen_tok_s", median(gen)}}
              << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace plumb

int main(int count, char** values) {
  try {
    return plumb::run(plumb::Arguments(count, values));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
