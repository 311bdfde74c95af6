#include "rewards/query_kind.hpp"

#include "core/strings.hpp"
#include "text/words.hpp"

namespace plumb {

std::optional<QueryKind> parse_query_kind(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c == '-' || c == '_' || c == ' ') continue;
    letters += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (letters == "open" || letters == "openended") return QueryKind::kOpen;
  if (letters == "constrained" || letters == "closed" || letters == "closedended") {
    return QueryKind::kConstrained;
  }
  return std::nullopt;
}

const char* query_kind_name(QueryKind kind) {
  return kind == QueryKind::kOpen ? "open" : "constrained";
}

QueryKind guess_query_kind(const std::optional<std::string>& reference, std::size_t short_words) {
  if (!reference || trim(*reference).empty()) return QueryKind::kOpen;
  return wordpunct(*reference).size() < short_words ? QueryKind::kConstrained : QueryKind::kOpen;
}

}  // namespace plumb
