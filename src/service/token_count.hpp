#pragma once
#include "service/dialect.hpp"

namespace plumb::service {

/// Tokens of a text by its bytes alone, for admission before anything is tokenized.
std::int64_t estimated_tokens(std::string_view text);
/// Sets `cost` of an item.
void estimate_cost(ScoreItem& item);
/// Fills in the item's tokens, counted by the tokenizer if there is one, else estimated. An item
/// longer than `max_length` (0: no limit) gets its prompt's beginning cut if `truncate`, else an
/// error 422.
void count_tokens(ScoreItem& item, const Tokenizer* tokenizer, std::int64_t max_length,
                  bool truncate);

}  // namespace plumb::service
