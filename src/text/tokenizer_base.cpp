#include "text/tokenizer_base.hpp"

#include "core/error.hpp"

namespace plumb {

TokenizerBase::TokenizerBase(TokenizerParts parts)
    : parts_(std::move(parts)),
      added_(parts_.added, parts_.normalizer),
      is_special_(parts_.vocabulary.pieces().size()) {
  for (const AddedToken& token : parts_.added)
    is_special_[static_cast<std::size_t>(token.id)] = token.special;
}

std::vector<std::int32_t> TokenizerBase::encode_template(
    std::string_view text, std::vector<ProtectedSpan> protected_spans) const {
  check_text_length(text.size());
  const ValidText valid = to_valid_text(text, std::move(protected_spans));
  const std::string_view whole = valid.text;
  std::vector<std::int32_t> ids;
  ids.reserve(whole.size() / 3);
  for (const TextPart& part : added_.split_raw(whole, valid.spans)) {
    if (part.id) {
      ids.push_back(*part.id);
    } else {
      encode_between(whole.substr(part.begin, part.end - part.begin), part.begin == 0, ids);
    }
  }
  return ids;
}

void check_text_length(std::size_t bytes) {
  if (bytes > kLongestText) {
    throw DataError(cat("text of ", bytes, " bytes: a tokenizer takes at most ", kLongestText,
                        "; split the text"));
  }
}

}  // namespace plumb
