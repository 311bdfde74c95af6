#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.hpp"

namespace plumb {

/// How responses are drawn. Names and meanings follow TRL / transformers.
struct SamplingOptions {
  double temperature = 1.0;
  std::int64_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  std::int64_t max_new_tokens = 256;
  std::int64_t min_new_tokens = 0;
  std::vector<std::string> stop;  // texts that end a response

  static void describe(auto& self, auto&& field) {
    field("temperature", self.temperature, Range{0, 100}, "0 = greedy; divides the logits");
    field("top_k", self.top_k, Range{-1, 1e9}, "keep the k likeliest tokens; 0 or -1 = off");
    field("top_p", self.top_p, Range{0, 1},
          "keep the smallest set of tokens with this probability; 1 = off");
    field("min_p", self.min_p, Range{0, 1},
          "drop tokens less likely than this share of the likeliest; 0 = off");
    field("repetition_penalty", self.repetition_penalty, Range{0.01, 100},
          "divide (or multiply, if negative) logits of seen tokens; 1 = off");
    field("max_new_tokens", self.max_new_tokens, Range{1, 1e6}, "longest response, in tokens");
    field("min_new_tokens", self.min_new_tokens, Range{0, 1e6},
          "no end of sequence before this many tokens");
    field("stop", self.stop, "texts that end a response (kept in it), separated by commas");
  }
};

}  // namespace plumb
