#pragma once
#include <optional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// A pair set is one answer to "which two responses of a prompt": several can stand side by side
/// over the same samples.
struct PairSet {
  std::int64_t id = 0, iteration_id = 0;
  std::string name;      // "train" by default
  std::string strategy;  // max_min, ...
  std::optional<std::int64_t> module_id;
  std::string config;  // JSON of the pairing options
};
struct PairRow {
  std::int64_t id = 0, pair_set_id = 0, prompt_id = 0, chosen_id = 0, rejected_id = 0;
  double margin = 0;
  double soft_label = 1;
  std::optional<std::string> dropped;  // why it is not trained on
};
/// A prompt from which no pair could be made.
struct PairSkip {
  std::int64_t prompt_id = 0;
  std::string reason;
};
/// Writes a pair set whole, replacing one of the same name in the iteration (its training ledger
/// goes with it). @return id
std::int64_t write_pair_set(Database& db, const PairSet& set, const std::vector<PairRow>& pairs,
                            const std::vector<PairSkip>& skips);
std::optional<PairSet> find_pair_set(const Database& db, std::int64_t iteration_id,
                                     const std::string& name);
/// Pairs that are not dropped, by id.
std::vector<PairRow> active_pairs(const Database& db, std::int64_t pair_set_id);
/// Takes a pair out of training and keeps the reason.
void drop_pair(Database& db, std::int64_t pair_id, const std::string& reason);
std::vector<PairSkip> pair_skips(const Database& db, std::int64_t pair_set_id);

/// Token offsets, half open; at most one of the two sides may be empty.
struct PairSpan {
  std::int64_t pair_id = 0, span = 0, chosen_begin = 0, chosen_end = 0, rejected_begin = 0,
               rejected_end = 0;
};
void add_pair_span(Database& db, const PairSpan& span);
std::vector<PairSpan> pair_spans(const Database& db, std::int64_t pair_id);

}  // namespace plumb::store
