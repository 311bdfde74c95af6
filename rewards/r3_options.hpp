#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rewards/query_kind_source.hpp"
#include "rewards/response_text.hpp"

namespace plumb {

/// Section [r3].
struct R3Options {
  std::string mode = "r3";
  std::string backend = "encoder";
  std::string encoder = "models/all-minilm-l6-v2";
  std::string similarity = "cosine";
  std::string lm;
  std::string mean_vec;
  bool keep_end = true;
  int window = 0;
  bool relevance_scaling = true;
  bool reward_branching = true;
  bool length_incentive = true;
  bool repetition_penalty = true;
  double li_div = 100;
  double li_cap = 0;
  int ngram = 3;
  std::vector<double> closed_in;
  double closed_out_end = 0;
  std::string negative = "auto";
  std::string empty = "zero";
  QueryKindOptions kind;
  std::string closed_no_reference = "relevance_only";
  std::string stop_format = "alpaca";
  std::vector<std::string> stop_texts;
  bool cut_for_relevance = false;

  static std::vector<std::string> mode_names();

  static void describe(auto& self, auto&& field) {
    field("mode", self.mode, Choices{mode_names()},
          "factors that count: r3 (all), or an ablation; every factor is measured and stored in "
          "each of them");
    field("backend", self.backend, Choices{{"encoder", "lm_hidden", "lexical"}},
          "what measures relevance: a sentence encoder, hidden states of a language model, or word "
          "counts (no model)");
    field("encoder", self.encoder, "folder of a BERT-type encoder");
    field("similarity", self.similarity, Choices{{"cosine", "dot"}},
          "of embeddings of the encoder; dot is the paper's with Contriever");
    field("lm", self.lm, "language model of backend lm_hidden");
    field("mean_vec", self.mean_vec,
          "safetensors file with the mean state that lm_hidden subtracts; `plumb calibrate` writes "
          "it; empty: nothing is subtracted");
    field("keep_end", self.keep_end, "cut long texts for the backend at their beginning");
    field("window", self.window, Range{0, 1e6},
          "relevance = maximum over windows of so many tokens of the response, e.g. 256; 0 = whole "
          "response (the paper)");
    field("relevance_scaling", self.relevance_scaling, "factor relevance, where the mode has it");
    field("reward_branching", self.reward_branching,
          "judge constrained queries by the reference answer, where the mode does");
    field("length_incentive", self.length_incentive,
          "factor words / li_div, open queries only, where the mode has it");
    field("repetition_penalty", self.repetition_penalty,
          "factor distinct / all n-grams, where the mode has it");
    field("li_div", self.li_div, Range{1e-3, 1e9}, "words that make a length incentive of 1");
    field("li_cap", self.li_cap, Range{0, 1e9}, "largest length incentive; 0 = no limit");
    field("ngram", self.ngram, Range{1, 16}, "words of an n-gram of the repetition penalty");
    field(
        "closed_in", self.closed_in,
        "low and high relevance that F maps to 0 and closed_out_end; `plumb calibrate` fits them; "
        "unset = 0, 1 (dot: the paper's 0, 3.5 for Contriever)");
    field("closed_out_end", self.closed_out_end, Range{0, 1e9},
          "upper end of F; 0 = longest response in tokens / 100");
    field("negative", self.negative, Choices{{"auto", "clamp0", "keep"}},
          "negative relevance: clamp0 counts it as 0; keep is the paper's, but pays for "
          "repetition; auto: keep for dot, else clamp0");
    field("empty", self.empty, Choices{{"zero", "score"}},
          "empty responses: zero, or score them like others (the authors' code)");
    QueryKindOptions::describe(self.kind, field);
    field("closed_no_reference", self.closed_no_reference,
          Choices{{"relevance_only", "open", "error"}},
          "constrained without reference: relevance to the prompt without length incentive, as "
          "open, or an error");
    field("stop_format", self.stop_format, Choices{stop_format_names()},
          "chat format whose role marks end the counted text");
    field("stop_texts", self.stop_texts, "further texts that end it, separated by commas");
    field("cut_for_relevance", self.cut_for_relevance, "measure relevance on the cut text too");
  }
};

/// Which parts of the formula count: those of the mode whose switch is on.
struct R3Parts {
  bool relevance = true;
  bool length = true;
  bool repetition = true;
  bool branching = true;     // constrained queries are judged by the reference
  bool random_kind = false;  // query types are drawn
};

/// Throws UsageError for an unknown mode. Branching needs relevance, as in the authors' code.
R3Parts r3_parts(const R3Options& options);

/// Whether relevance is an unbounded dot product, as with Contriever, not a cosine.
bool measures_dot(const R3Options& options);

}  // namespace plumb
