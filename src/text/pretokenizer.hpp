#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/pretokenizer_pattern.hpp"

namespace plumb {

/// A text and the pieces that a model may merge within; text outside of the spans is dropped.
struct Pieces {
  std::string text;
  std::vector<PieceSpan> spans;
};

/// The steps that cut a text into pieces, named as in tokenizer.json.
namespace cutting {

/// What becomes of the matches of a split.
enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class Prefix { never, first, always };

struct Split {
  SplitPattern pattern;
  Behavior behavior;
  bool invert;
};
struct Digits {
  bool individual;
};
/// GPT-2's pattern, hand-written; equals Split with kGpt2Pattern, isolated.
struct Gpt2 {};
struct SpacePrefix {};  // one space before every piece that has none
struct Words {};        // runs of word characters, runs of other visible characters
struct SpaceSplit {};
struct Bert {};  // white space removed, punctuation isolated
struct Punctuation {
  Behavior behavior;
};
struct Metaspace {
  std::string replacement;
  Prefix prefix;
  bool split;
};

using Step =
    std::variant<Split, Digits, Gpt2, SpacePrefix, Words, SpaceSplit, Bert, Punctuation, Metaspace>;

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Appends the pieces of one span by GPT-2's pattern.
void cut_gpt2(std::string_view text, PieceSpan span, std::vector<PieceSpan>& out);

}  // namespace cutting

class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<cutting::Step> steps) : steps_(std::move(steps)) {}
  /// @param segment well-formed UTF-8 between two added tokens
  /// @param at_start true if the segment begins the whole text
  Pieces apply(std::string segment, bool at_start) const;

 private:
  std::vector<cutting::Step> steps_;
};

}  // namespace plumb
