#include "text/tokenizer_decoder.hpp"

#include <array>
#include <utility>

#include "text/tokenizer_vocabulary.hpp"

namespace plumb {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = 0; (at = text.find(from, done)) != std::string::npos;
       done = at + from.size()) {
    out.append(text, done, at - done).append(to);
  }
  if (done > 0) text = out.append(text, done);
}

/// The clean-up of Hugging Face's WordPiece decoder, token by token and in its order.
void clean_up(std::string& token) {
  using Rule = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Rule, 11> kRules{{{" .", "."},
                                         {" ?", "?"},
                                         {" !", "!"},
                                         {" ,", ","},
                                         {" ' ", "'"},
                                         {" n't", "n't"},
                                         {" 'm", "'m"},
                                         {" do not", " don't"},
                                         {" 's", "'s"},
                                         {" 've", "'ve"},
                                         {" 're", "'re"}}};
  for (const auto& [from, to] : kRules) replace_all(token, from, to);
}

struct Apply {
  std::vector<std::string>& tokens;

  void operator()(const decoding::ByteLevel&) const {
    for (std::string& token : tokens) {
      if (auto bytes = byte_characters::to_bytes(token)) token = std::move(*bytes);
    }
  }
  void operator()(const decoding::ByteFallback&) const {
    for (std::string& token : tokens) {
      if (const auto byte = byte_of_piece(token)) token = std::string(1, static_cast<char>(*byte));
    }
  }
  void operator()(const decoding::Fuse&) const {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens.assign(1, std::move(all));
  }
  void operator()(const decoding::Replace& step) const {
    for (std::string& token : tokens) replace_all(token, step.from, step.with);
  }
  void operator()(const decoding::Strip& step) const {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::size_t i = 0; i < step.at_start && rest.starts_with(step.character); ++i) {
        rest.remove_prefix(step.character.size());
      }
      for (std::size_t i = 0; i < step.at_end && rest.ends_with(step.character); ++i) {
        rest.remove_suffix(step.character.size());
      }
      token = std::string(rest);
    }
  }
  void operator()(const decoding::WordPiece& step) const {
    bool first = true;
    for (std::string& token : tokens) {
      if (!std::exchange(first, false)) {
        if (token.starts_with(step.continuation)) {
          token.erase(0, step.continuation.size());
        } else {
          token.insert(0, 1, ' ');
        }
      }
      if (step.clean_up) clean_up(token);
    }
  }
  void operator()(const decoding::Metaspace& step) const {
    bool first = true;
    for (std::string& token : tokens) {
      replace_all(token, step.replacement,
                  std::exchange(first, false) && step.drop_first ? "" : " ");
    }
  }
};

}  // namespace

std::string TokenDecoder::decode(std::vector<std::string> tokens) const {
  for (const decoding::Step& step : steps_) std::visit(Apply{tokens}, step);
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && steps_.empty()) out += ' ';
    out += tokens[i];
  }
  return out;
}

}  // namespace plumb
