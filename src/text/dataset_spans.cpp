#include "text/dataset_spans.hpp"

#include "core/error.hpp"
#include "text/dataset_prompt.hpp"

namespace plumb::dataset {
namespace {

constexpr std::string_view kOpen = "<MASK>", kClose = "</MASK>";

[[noreturn]] void fail(const std::string& reason) { throw RowFault("bad_spans", reason); }

struct Marked {
  std::string text;                                          // without the marks
  std::vector<std::pair<std::size_t, std::size_t>> phrases;  // byte ranges of it
};

Marked read_marks(std::string_view marked, const char* field) {
  Marked out;
  while (true) {
    const std::size_t open = marked.find(kOpen);
    if (marked.substr(0, open).find(kClose) != std::string_view::npos)
      fail(cat("\"", field, "\" closes a mark ", kClose, " that it did not open"));
    out.text += marked.substr(0, open);
    if (open == std::string_view::npos) return out;
    marked.remove_prefix(open + kOpen.size());
    const std::size_t close = marked.find(kClose);
    const std::string_view phrase = marked.substr(0, close);
    if (close == std::string_view::npos || phrase.find(kOpen) != std::string_view::npos)
      fail(cat("\"", field, "\" opens a mark ", kOpen, " and does not close it"));
    const std::size_t begin = out.text.size();
    out.text += phrase;
    out.phrases.emplace_back(begin, out.text.size());
    marked.remove_prefix(close + kClose.size());
  }
}

Marked read_side(const RowObject& row, const char* field, const std::string& answer,
                 const char* answer_field) {
  Marked marked = read_marks(*text_field(row, field), field);
  if (marked.text != answer)
    fail(cat("\"", field, "\" without its marks is not the answer \"", answer_field, "\""));
  return marked;
}

}  // namespace

std::vector<KeySpan> read_key_spans(const RowObject& row, const std::string& chosen,
                                    const std::string& rejected) {
  const bool marks_chosen = row.has("chosen_masked"), marks_rejected = row.has("rejected_masked");
  if (!marks_chosen && !marks_rejected) return {};
  if (marks_chosen != marks_rejected)
    fail("only one of \"chosen_masked\" and \"rejected_masked\" is there");
  const Marked better = read_side(row, "chosen_masked", chosen, "chosen");
  const Marked worse = read_side(row, "rejected_masked", rejected, "rejected");
  if (better.phrases.size() != worse.phrases.size()) {
    fail(cat("\"chosen_masked\" marks ", better.phrases.size(), " phrases, \"rejected_masked\" ",
             worse.phrases.size(), "; write ", kOpen, kClose,
             " where a phrase has no counterpart"));
  }
  std::vector<KeySpan> out;
  for (std::size_t i = 0; i < better.phrases.size(); ++i) {
    const auto [chosen_begin, chosen_end] = better.phrases[i];
    const auto [rejected_begin, rejected_end] = worse.phrases[i];
    if (chosen_begin == chosen_end && rejected_begin == rejected_end)
      fail(cat("phrase ", i + 1, " is empty on both sides"));
    out.push_back({chosen_begin, chosen_end, rejected_begin, rejected_end});
  }
  return out;
}

}  // namespace plumb::dataset
