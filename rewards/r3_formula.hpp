#pragma once
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rewards/response_text.hpp"

namespace plumb {

struct R3Options {
  std::string backend = "encoder";
  std::string encoder = "models/all-minilm-l6-v2";
  std::string similarity = "cosine";
  bool keep_end = true;
  int window_words = 0;
  bool relevance_scaling = true;
  bool reward_branching = true;
  bool length_incentive = true;
  bool repetition_penalty = true;
  double li_div = 100;
  double li_cap = 0;
  int ngram = 3;
  std::vector<double> closed_in;
  double closed_out_end = 0;
  std::string negative = "clamp0";
  std::string empty = "zero";
  std::string default_kind = "rule";
  int short_reference_words = 30;
  std::string closed_no_reference = "relevance_only";
  std::string stop_format = "alpaca";
  std::vector<std::string> stop_texts;
  bool cut_for_relevance = false;

  static void describe(auto& self, auto&& field) {
    field("backend", self.backend, Choices{{"encoder", "lexical"}},
          "what measures relevance: a sentence encoder, or word counts (no model)");
    field("encoder", self.encoder, "folder of a BERT-type encoder");
    field("similarity", self.similarity, Choices{{"cosine", "dot"}},
          "of embeddings; dot is the paper's with Contriever");
    field("keep_end", self.keep_end, "cut long texts for the encoder at their beginning");
    field("window_words", self.window_words, Range{0, 1e6},
          "relevance = maximum over windows of so many words of the response; 0 = whole response");
    field("relevance_scaling", self.relevance_scaling, "factor relevance");
    field("reward_branching", self.reward_branching,
          "judge constrained queries by the reference answer");
    field("length_incentive", self.length_incentive, "factor words / li_div, open queries only");
    field("repetition_penalty", self.repetition_penalty, "factor distinct / all n-grams");
    field("li_div", self.li_div, Range{1e-3, 1e9}, "words that make a length incentive of 1");
    field("li_cap", self.li_cap, Range{0, 1e9}, "largest length incentive; 0 = no limit");
    field("ngram", self.ngram, Range{1, 16}, "words of an n-gram of the repetition penalty");
    field(
        "closed_in", self.closed_in,
        "low and high relevance that F maps to 0 and closed_out_end; `plumb calibrate` fits them; "
        "unset = 0, 1 (dot: the paper's 0, 3.5 for Contriever)");
    field("closed_out_end", self.closed_out_end, Range{0, 1e9},
          "upper end of F; 0 = longest response in tokens / 100");
    field(
        "negative", self.negative, Choices{{"clamp0", "keep"}},
        "negative relevance: clamp0 counts it as 0; keep is the paper's, but pays for repetition");
    field("empty", self.empty, Choices{{"zero", "score"}},
          "empty responses: zero, or score them like others (the authors' code)");
    field("default_kind", self.default_kind, Choices{{"rule", "open", "constrained"}},
          "kind of prompts without one; rule = constrained if the reference is short");
    field("short_reference_words", self.short_reference_words, Range{0, 1e6},
          "references with fewer words are short");
    field(
        "closed_no_reference", self.closed_no_reference,
        Choices{{"relevance_only", "open", "error"}},
        "constrained without reference: relevance to the prompt without length incentive, as open, "
        "or an error");
    field("stop_format", self.stop_format, Choices{stop_format_names()},
          "chat format whose role marks end the counted text");
    field("stop_texts", self.stop_texts, "further texts that end it, separated by commas");
    field("cut_for_relevance", self.cut_for_relevance, "measure relevance on the cut text too");
  }
};

/// Which formula a response is scored by.
enum class R3Branch { kOpen, kConstrained, kRelevanceOnly };
const char* r3_branch_name(R3Branch branch);

/// F of R^3: the line through (in_low, 0) and (in_high, out_high), not clamped.
double r3_line(double value, double in_low, double in_high, double out_high);

/// Measured factors of one response, before any switch.
struct R3Factors {
  double relevance = 1;           // r_x (query, response) or r_y (reference, response)
  double length_incentive = 0;    // LI
  double repetition_penalty = 1;  // RP
};

/// Regularized Relevance Reward, arXiv 2402.03469, with the switches of the authors' code.
///
///   open            relevance * LI * RP
///   constrained     F(relevance) * RP
///   relevance only  relevance * RP
///
/// A factor that is switched off is 1. Without relevance_scaling every branch is LI * RP.
class R3Formula {
 public:
  /// @param max_new_tokens  longest response of the policy; gives closed_out_end where that is 0
  /// Throws UsageError if closed_in is not two ascending numbers.
  R3Formula(const R3Options& options, std::int64_t max_new_tokens);
  double value(R3Branch branch, const R3Factors& factors) const;
  double out_end() const { return out_high_; }
  double f(double relevance) const { return r3_line(relevance, in_low_, in_high_, out_high_); }

 private:
  bool relevance_, length_, repetition_;
  double in_low_, in_high_, out_high_;
};

}  // namespace plumb
