#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/options.hpp"

namespace plumb {

/// Which two responses of a prompt become a pair.
struct PairOptions {
  std::string set = "train";
  std::string rule = "max_min";
  std::vector<std::string> module;
  std::vector<double> weights;
  std::int64_t committee = 3;
  std::string committee_quota = "none";
  double length_penalty = 0.0;
  double min_margin = 0.0;
  double max_length_ratio = 0.0;
  std::int64_t max_length_difference = 0;
  double soft_label = 1.0;

  static void describe(auto& self, auto&& field) {
    field("set", self.set,
          "name of the pair set; another name makes a second set over the same samples");
    field("rule", self.rule,
          Choices{{"max_min", "max_random", "random", "max_max", "max_min_p", "borda",
                   "chamberlin_courant", "degraded"}},
          "max_min: best against worst; max_random: best against a random other; random: two "
          "random responses, the better one chosen; "
          "max_max: best against second best; max_min_p: max_min after score - length_penalty * "
          "characters; borda: most against fewest Borda points over several modules, kept if more "
          "than half of them order the two in this way; chamberlin_courant: the same among the "
          "pair.committee responses that give every module a favourite; degraded: a response "
          "against one to the prompt with a spoilt context");
    field("module", self.module,
          "reward module that decides; of several, the z-scores inside each prompt's responses are "
          "added up; empty: score.primary");
    field("weights", self.weights, "weights of several modules, in their order; empty: 1 each");
    field("committee", self.committee, Range{2, 1e6},
          "responses that rule chamberlin_courant keeps of each prompt");
    field("committee_quota", self.committee_quota, Choices{{"none", "length"}},
          "length: at least one of them from each third of the responses by length, so that no "
          "module's taste for length empties a third");
    field("length_penalty", self.length_penalty, Range{0, 1e6},
          "score taken off per character by rule max_min_p");
    field("min_margin", self.min_margin, Range{0, 1e9},
          "drop pairs whose scores differ by less (a tie is always dropped)");
    field("max_length_ratio", self.max_length_ratio, Range{0, 1e9},
          "drop pairs whose token lengths differ by more than this factor; 0 = off");
    field("max_length_difference", self.max_length_difference, Range{0, 1e9},
          "drop pairs whose token lengths differ by more; 0 = off");
    field("soft_label", self.soft_label, Range{0, 1},
          "probability that the chosen response is the better one");
  }
};

/// A scored response of one prompt.
struct PairCandidate {
  std::int64_t sample_id = 0;
  std::int64_t k = 0;
  double score = 0.0;
  std::int64_t tokens = 0;
  std::int64_t characters = 0;
  std::int64_t text_hash = 0;
  bool degraded = false;            // the model was shown the prompt with a spoilt context
  std::vector<double> by_module{};  // scores by each deciding module, for rules that count places
};

/// The pair of one prompt, or why there is none. A pair that a guard refuses is kept with its
/// reason.
struct PairDecision {
  struct Pair {
    std::int64_t chosen_id = 0, rejected_id = 0;
    double margin = 0.0;
    std::optional<std::string> dropped;
  };
  std::optional<Pair> pair;
  std::string skip_reason;  // set when there is no pair
};

/// Picks the pair of one prompt. Duplicate texts count once (the first is kept); ties between
/// scores go to the smaller sample number. Rule degraded takes the ordinary and the degraded
/// response of the same number that lie furthest apart.
/// @param candidates  the prompt's scored responses   @param total_responses  including those
/// without a score
/// @param seed, prompt  address the random choice of the random rules
PairDecision choose_pair(std::span<const PairCandidate> candidates, std::int64_t total_responses,
                         const PairOptions& options, std::uint64_t seed, std::uint64_t prompt);

}  // namespace plumb
