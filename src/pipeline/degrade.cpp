#include "pipeline/degrade.hpp"

#include <algorithm>
#include <sstream>

#include "core/strings.hpp"

namespace plumb {
namespace {

/// Where the last sentence or line begins; 0 if there is only one.
std::size_t last_sentence(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n.?!:");
  if (end == std::string::npos) return 0;
  for (std::size_t i = end; i > 0; --i) {
    const bool mark = text[i - 1] == '.' || text[i - 1] == '?' || text[i - 1] == '!';
    if (text[i] == '\n' || (mark && (text[i] == ' ' || text[i] == '\t'))) return i + 1;
  }
  return 0;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::vector<std::string> dropped(const std::vector<std::string>& words, double share,
                                 const RandomStream& stream) {
  std::vector<bool> keep;
  for (std::size_t i = 0; i < words.size(); ++i) keep.push_back(stream.uniform(i) >= share);
  const std::size_t any = stream.below(words.size(), words.size());
  if (std::count(keep.begin(), keep.end(), false) == 0) keep[any] = false;
  if (std::count(keep.begin(), keep.end(), true) == 0) keep[any] = true;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (keep[i]) out.push_back(words[i]);
  }
  return out;
}

std::vector<std::string> shuffled(std::vector<std::string> words, const RandomStream& stream) {
  for (std::size_t i = words.size(); i > 1; --i) std::swap(words[i - 1], words[stream.below(i, i)]);
  return words;
}

}  // namespace

std::vector<Message> degraded(std::vector<Message> messages, const DegradeOptions& options,
                              const RandomStream& stream) {
  const auto turn = std::find_if(messages.rbegin(), messages.rend(),
                                 [](const Message& message) { return message.role == "user"; });
  if (turn == messages.rend()) return messages;
  const std::size_t cut = last_sentence(turn->content);
  const std::vector<std::string> words =
      words_of(cut > 0 ? turn->content.substr(0, cut) : turn->content);
  if (words.size() < 2) return messages;
  std::string context = join(
      options.mode == "shuffle" ? shuffled(words, stream) : dropped(words, options.share, stream),
      " ");
  if (cut > 0) context += (turn->content[cut - 1] == '\n' ? "\n" : " ") + turn->content.substr(cut);
  turn->content = std::move(context);
  return messages;
}

}  // namespace plumb
