#include "store/pairs.hpp"

namespace plumb::store {

std::int64_t write_pair_set(Database& db, const PairSet& set, const std::vector<PairRow>& pairs,
                            const std::vector<PairSkip>& skips) {
  Transaction transaction(db);
  db.prepare("DELETE FROM pair_sets WHERE iteration_id=? AND name=?")
      .bind(set.iteration_id, set.name)
      .run();
  db.prepare(
        "INSERT INTO pair_sets(iteration_id, name, strategy, module_id, config) VALUES(:iteration, "
        ":name, :strategy, :module, :config)")
      .bind(set.iteration_id, set.name, set.strategy, set.module_id,
            set.config.empty() ? "{}" : set.config)
      .run();
  const std::int64_t id = db.last_insert_id();
  Statement add_pair = db.prepare(
      "INSERT INTO pairs(pair_set_id, prompt_id, chosen_id, rejected_id, margin, soft_label, "
      "dropped) "
      "VALUES(:pair_set, :prompt, :chosen, :rejected, :margin, :soft_label, :dropped)");
  for (const PairRow& pair : pairs) {
    add_pair
        .bind(id, pair.prompt_id, pair.chosen_id, pair.rejected_id, pair.margin, pair.soft_label,
              pair.dropped)
        .run();
  }
  Statement add_skip = db.prepare(
      "INSERT INTO pair_skips(pair_set_id, prompt_id, reason) VALUES(:pair_set, :prompt, :reason)");
  for (const PairSkip& skip : skips) add_skip.bind(id, skip.prompt_id, skip.reason).run();
  transaction.commit();
  return id;
}

std::optional<PairSet> find_pair_set(const Database& db, std::int64_t iteration_id,
                                     const std::string& name) {
  Statement query = db.prepare(
      "SELECT pair_set_id, strategy, module_id, config FROM pair_sets WHERE iteration_id=? AND "
      "name=?");
  if (!query.bind(iteration_id, name).step()) return std::nullopt;
  return PairSet{query.integer(0),          iteration_id, name, query.text(1),
                 query.optional_integer(2), query.text(3)};
}

std::vector<PairRow> active_pairs(const Database& db, std::int64_t pair_set_id) {
  Statement query = db.prepare(
      "SELECT pair_id, prompt_id, chosen_id, rejected_id, margin, soft_label FROM pairs WHERE "
      "pair_set_id=? AND dropped IS NULL ORDER BY pair_id");
  query.bind(pair_set_id);
  std::vector<PairRow> out;
  while (query.step()) {
    out.push_back({query.integer(0), pair_set_id, query.integer(1), query.integer(2),
                   query.integer(3), query.real(4), query.real(5), std::nullopt});
  }
  return out;
}

void drop_pair(Database& db, std::int64_t pair_id, const std::string& reason) {
  db.prepare("UPDATE pairs SET dropped=? WHERE pair_id=?").bind(reason, pair_id).run();
}

std::vector<PairSkip> pair_skips(const Database& db, std::int64_t pair_set_id) {
  Statement query =
      db.prepare("SELECT prompt_id, reason FROM pair_skips WHERE pair_set_id=? ORDER BY prompt_id");
  query.bind(pair_set_id);
  std::vector<PairSkip> out;
  while (query.step()) out.push_back({query.integer(0), query.text(1)});
  return out;
}

void add_pair_span(Database& db, const PairSpan& span) {
  db.prepare(
        "INSERT INTO pair_spans(pair_id, span, chosen_begin, chosen_end, rejected_begin, "
        "rejected_end) "
        "VALUES(:pair, :span, :chosen_begin, :chosen_end, :rejected_begin, :rejected_end)")
      .bind(span.pair_id, span.span, span.chosen_begin, span.chosen_end, span.rejected_begin,
            span.rejected_end)
      .run();
}

std::vector<PairSpan> pair_spans(const Database& db, std::int64_t pair_id) {
  Statement query = db.prepare(
      "SELECT span, chosen_begin, chosen_end, rejected_begin, rejected_end FROM pair_spans WHERE "
      "pair_id=? ORDER BY span");
  query.bind(pair_id);
  std::vector<PairSpan> out;
  while (query.step()) {
    out.push_back({pair_id, query.integer(0), query.integer(1), query.integer(2), query.integer(3),
                   query.integer(4)});
  }
  return out;
}

}  // namespace plumb::store
