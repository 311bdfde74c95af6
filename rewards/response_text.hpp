#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.hpp"

/// What a text reward reads of a conversation: the part of a response before it plays the next
/// turn, and the query.
namespace plumb {

/// The response without a last character that the length limit cut in two. Throws DataError if what
/// is left is not valid UTF-8.
std::string_view readable_response(std::string_view response);

/// Chat formats whose role marks are known as stop texts, for option declarations.
std::vector<std::string> stop_format_names();

/// Texts at which a response is cut before its words are counted: the role marks of a chat format
/// ("none" has none), then `more`, then four newlines, "\n\n--" and "\n\n____" (R^3, arXiv
/// 2402.03469, released code).
std::vector<std::string> stop_texts(const std::string& format, std::span<const std::string> more);

/// The response without newlines and spaces around it, up to the earliest stop text. Stop texts are
/// searched literally; the released code of R^3 reads them as one regular expression, which breaks
/// marks like "[INST]".
std::string_view cut_at_stop(std::string_view response, std::span<const std::string> stops);

/// All user turns, joined by spaces, without template left-overs ("### Input:", "</s>", colons
/// around a turn); white space (Unicode) collapsed to single spaces. System and assistant turns are
/// left out.
std::string clean_query(std::span<const Message> messages);

/// Tokens that a word is worth to whoever reads it.
using WordSize = std::function<std::size_t(std::string_view word)>;

/// Slices of whole words with at most `size` tokens each (a longer word is a slice of its own), as
/// few as go in order; the whole text if size is 0 or if it has no more tokens. The slices keep the
/// white space between their words.
std::vector<std::string> word_windows(const std::string& text, std::size_t size,
                                      const WordSize& tokens_of);

}  // namespace plumb
