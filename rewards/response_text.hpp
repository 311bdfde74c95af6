#pragma once
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

/// Slices of `words_per_window` word tokens each, the last one shorter; the whole text if 0 or if
/// it has no more words.
std::vector<std::string> word_windows(const std::string& text, std::size_t words_per_window);

}  // namespace plumb
