#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plumb {

/// Open-ended queries are judged against the prompt, constrained ones (one right answer) against a
/// reference.
enum class QueryKind { kOpen, kConstrained };

/// Reads open, openended, constrained, closed or closedended; case, spaces, "-" and "_" do not
/// matter. Empty if the name is none of these.
std::optional<QueryKind> parse_query_kind(std::string_view name);

const char* query_kind_name(QueryKind kind);

/// Rule for prompts without a kind: a reference with fewer than `short_words` word tokens means
/// constrained; a longer one, or none, means open.
QueryKind guess_query_kind(const std::optional<std::string>& reference, std::size_t short_words);

}  // namespace plumb
