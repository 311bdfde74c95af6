#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace plumb {

/// The steps that turn token strings back into text, named as in tokenizer.json.
namespace decoding {

struct ByteLevel {};
struct ByteFallback {};  // "<0x0A>" becomes its byte
struct Fuse {};          // all tokens become one
struct Replace {
  std::string from, with;
};
struct Strip {
  std::string character;
  std::size_t at_start, at_end;  // how many at most
};
struct WordPiece {
  std::string continuation;
  bool clean_up;  // no space before punctuation
};
struct Metaspace {
  std::string replacement;
  bool drop_first;
};

using Step = std::variant<ByteLevel, ByteFallback, Fuse, Replace, Strip, WordPiece, Metaspace>;

}  // namespace decoding

class TokenDecoder {
 public:
  TokenDecoder() = default;
  explicit TokenDecoder(std::vector<decoding::Step> steps) : steps_(std::move(steps)) {}
  bool is_byte_level() const {
    return steps_.size() == 1 && std::holds_alternative<decoding::ByteLevel>(steps_[0]);
  }
  /// The text of a sequence of tokens; bytes, which may end inside of a UTF-8 sequence.
  std::string decode(std::vector<std::string> tokens) const;

 private:
  std::vector<decoding::Step> steps_;
};

}  // namespace plumb
