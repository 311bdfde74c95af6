#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rollout/sampling.hpp"

namespace plumb::cli {

struct GenerateOptions {
  std::string model, prompt, system, chat_template = "auto", dtype = "auto", device = "auto";
  std::vector<std::string> guide;
  std::string guide_chat_template = "auto";
  bool guide_normalize = false;
  std::int64_t samples = 1, seed = 42;
  bool json = false;
  SamplingOptions sampling;
  static void describe(auto& self, auto&& field) {
    field("model", self.model, "Hugging Face folder, .gguf file, or a hub id in the local cache");
    field("prompt", self.prompt,
          "user message; empty: one per line of standard input, on a terminal a chat");
    field("system", self.system, "system message; empty: the format's default");
    field("chat_template", self.chat_template,
          "chat format (`plumb list templates`); auto: the model's own; raw: the text as it is");
    field("guide", self.guide,
          "autoregressive reward models that steer the model, MODEL or MODEL:ALPHA, separated by "
          "commas; ALPHA (1) is the weight of their logits");
    field("guide_chat_template", self.guide_chat_template,
          "chat format of the guides' prompts; auto: each its own");
    field("guide_normalize", self.guide_normalize,
          "divide the summed logits by 1 + the sum of the weights");
    field("samples", self.samples, Range{1, 1e6}, "responses for each prompt");
    field("seed", self.seed, Range{0, 9e15}, "seed of the random choices");
    field("json", self.json, "print JSON lines with ids and log-probs instead of text");
    field("dtype", self.dtype, Choices{{"auto", "float32", "bfloat16"}}, "type of matrix products");
    field("device", self.device, Choices{{"auto", "cpu", "cuda"}}, "where the model runs");
    SamplingOptions::describe(self.sampling, field);
  }
};

struct TokenizeOptions {
  std::string model, chat_template = "auto";
  bool plain = false;
  static void describe(auto& self, auto&& field) {
    field("model", self.model, "model whose tokenizer is used");
    field("chat_template", self.chat_template, "chat format for {\"messages\"} lines");
    field("plain", self.plain, "take every line as text, also those that are JSON");
  }
};

struct LogprobsOptions {
  std::string model, chat_template = "auto", dtype = "auto", device = "auto";
  std::int64_t batch_tokens = 4096;
  static void describe(auto& self, auto&& field) {
    field("model", self.model, "Hugging Face folder, .gguf file, or a hub id in the local cache");
    field("chat_template", self.chat_template,
          "chat format around a \"prompt\" given as text or messages; raw: the text as it is");
    field("batch_tokens", self.batch_tokens, Range{1, 1e9}, "tokens of one forward pass");
    field("dtype", self.dtype, Choices{{"auto", "float32", "bfloat16"}}, "type of matrix products");
    field("device", self.device, Choices{{"auto", "cpu", "cuda"}}, "where the model runs");
  }
};

struct EmbedOptions {
  std::string model = "models/all-minilm-l6-v2", normalize = "auto";
  static void describe(auto& self, auto&& field) {
    field("model", self.model, "folder of a BERT-type encoder");
    field("normalize", self.normalize, Choices{{"auto", "yes", "no"}},
          "divide by the Euclidean norm; auto: as the folder says");
  }
};

struct SqlOptions {
  std::string format = "table";
  static void describe(auto& self, auto&& field) {
    field("format", self.format, Choices{{"table", "csv", "json", "markdown"}},
          "how the result is printed");
  }
};

}  // namespace plumb::cli
