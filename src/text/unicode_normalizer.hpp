#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace plumb {

class SplitPattern;

namespace unicode {

enum class Form { nfc, nfd, nfkc, nfkd };

/// Canonical or compatibility normal form (UAX 15) of well-formed UTF-8, in O(n log n) for any
/// text.
std::string normalize(std::string_view text, Form form);

}  // namespace unicode

/// The steps a tokenizer applies to a text before it is cut into pieces.
namespace normalizing {

struct ToForm {
  unicode::Form form;
};
struct Lowercase {};
struct StripAccents {};  // drops marks; follows a decomposition
struct StripSpace {
  bool left, right;
};
struct Prepend {
  std::string text;
};
struct Replace {
  std::shared_ptr<const SplitPattern> pattern;
  std::string with;
};
/// BERT's clean-up: controls dropped, spaces unified, CJK ideographs set apart, accents and case
/// removed.
struct Bert {
  bool clean, separate_ideographs, strip_accents, lowercase;
};

using Step = std::variant<ToForm, Lowercase, StripAccents, StripSpace, Prepend, Replace, Bert>;

}  // namespace normalizing

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<normalizing::Step> steps) : steps_(std::move(steps)) {}
  bool empty() const { return steps_.empty(); }
  /// @param text well-formed UTF-8
  std::string apply(std::string_view text) const;

 private:
  std::vector<normalizing::Step> steps_;
};

}  // namespace plumb
