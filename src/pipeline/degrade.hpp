#pragma once
#include <string>
#include <vector>

#include "core/options.hpp"
#include "core/rng.hpp"
#include "text/chat_template.hpp"

namespace plumb {

/// Prompts with a spoilt context, whose responses are the rejected sides of rule `degraded`.
struct DegradeOptions {
  std::string mode = "drop";
  double share = 0.5;

  static void describe(auto& self, auto&& field) {
    field("mode", self.mode, Choices{{"drop", "shuffle"}},
          "pair.rule = degraded: leave words of the context out, or shuffle its words");
    field("share", self.share, Range{0, 1}, "chance of each word to be left out by mode drop");
  }
};

/// The conversation with the context in its last user turn spoilt. The context is all but the last
/// sentence (or line); in a turn of one sentence it is the whole turn. At least one word is dropped
/// and one kept; white space between words becomes one blank.
/// (RRPO, arXiv 2504.12083, hides and shuffles frames of a video; this is the same for text.)
/// @param stream  addresses the random choice
std::vector<Message> degraded(std::vector<Message> messages, const DegradeOptions& options,
                              const RandomStream& stream);

}  // namespace plumb
