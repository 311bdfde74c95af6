#pragma once
#include <string_view>
#include <vector>

namespace plumb {

/// Word tokens in text order: runs of word characters (Unicode letters L*, numbers N*, underscore;
/// not marks) and runs of characters that are neither word characters nor white space. This is the
/// pattern `\w+|[^\w\s]+` of Python's `re`, which word_punct tokenizers of the R^3 era (nltk 3.8)
/// use. White space is Python's, with U+001C to U+001F and U+0085. A malformed byte counts as
/// U+FFFD. The views point into `text`.
std::vector<std::string_view> wordpunct(std::string_view text);

}  // namespace plumb
