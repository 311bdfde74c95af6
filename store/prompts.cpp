#include "store/prompts.hpp"

#include "core/hash.hpp"

namespace plumb::store {
namespace {

constexpr const char* kColumns =
    "SELECT p.prompt_id, p.dataset, p.split, p.external_id, p.category, p.reference_answer, "
    "p.messages, p.text, p.ids FROM prompts p ";

PromptRow read_prompt(const Statement& row) {
  PromptRow out;
  out.id = row.integer(0);
  out.dataset = row.text(1);
  out.split = row.text(2);
  out.external_id = row.text(3);
  out.kind = row.optional_text(4);
  out.reference_answer = row.optional_text(5);
  out.messages = row.text(6);
  out.text = row.text(7);
  out.ids = unpack_ids(row.blob(8));
  return out;
}

/// A field with its length before it, so that no two rows run into one another; an absent field
/// differs from an empty one.
void add_field(Sha256& hash, const std::optional<std::string_view>& field) {
  hash.update(field ? cat(field->size(), ":") : "-:");
  if (field) hash.update(*field);
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

std::string prompt_sha256(const PromptRow& prompt) {
  Sha256 hash;
  add_field(hash, prompt.messages);
  add_field(hash, prompt.kind);
  add_field(hash, prompt.reference_answer);
  add_field(hash, prompt.text);
  const auto ids = pack(prompt.ids);
  add_field(hash, std::string_view(reinterpret_cast<const char*>(ids.data()), ids.size()));
  const Sha256::Digest digest = hash.finish();
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::int64_t add_prompt(Database& db, const PromptRow& prompt) {
  const std::string hash = prompt_sha256(prompt);
  db.prepare(
        "INSERT INTO prompts(sha256, dataset, split, external_id, category, n_tokens, "
        "reference_answer, messages, text, ids) "
        "VALUES(:sha256, :dataset, :split, :external_id, :category, :n_tokens, :reference_answer, "
        ":messages, :text, :ids) "
        "ON CONFLICT(sha256) DO NOTHING")
      .bind(bytes_of(hash), prompt.dataset, prompt.split, prompt.external_id, prompt.kind,
            static_cast<std::int64_t>(prompt.ids.size()), prompt.reference_answer, prompt.messages,
            prompt.text, pack(prompt.ids))
      .run();
  Statement query = db.prepare("SELECT prompt_id FROM prompts WHERE sha256=?");
  query.bind(bytes_of(hash)).step();
  return query.integer(0);
}

std::optional<PromptRow> find_prompt(const Database& db, std::int64_t id) {
  Statement query = db.prepare(std::string(kColumns) + "WHERE p.prompt_id=?");
  if (!query.bind(id).step()) return std::nullopt;
  return read_prompt(query);
}

void set_run_prompts(Database& db, std::int64_t run_id, const std::string& use,
                     std::int64_t iteration_index, const std::vector<std::int64_t>& prompt_ids) {
  Transaction transaction(db);
  db.prepare("DELETE FROM run_prompts WHERE run_id=? AND use=? AND iteration_index=?")
      .bind(run_id, use, iteration_index)
      .run();
  Statement insert = db.prepare(
      "INSERT INTO run_prompts(run_id, use, iteration_index, position, prompt_id) VALUES(:run, "
      ":use, :iteration_index, :position, :prompt)");
  std::int64_t position = 0;
  for (const std::int64_t prompt_id : prompt_ids) {
    insert.bind(run_id, use, iteration_index, position++, prompt_id).run();
  }
  transaction.commit();
}

std::vector<PromptRow> run_prompts(const Database& db, std::int64_t run_id, const std::string& use,
                                   std::int64_t iteration_index) {
  Statement query = db.prepare(std::string(kColumns) +
                               "JOIN run_prompts u USING(prompt_id) WHERE u.run_id=? AND u.use=? "
                               "AND u.iteration_index=? ORDER BY u.position");
  query.bind(run_id, use, iteration_index);
  std::vector<PromptRow> out;
  while (query.step()) out.push_back(read_prompt(query));
  return out;
}

void add_rejected_rows(Database& db, std::int64_t run_id, const std::vector<RejectedRow>& rows) {
  Transaction transaction(db);
  Statement insert = db.prepare(
      "INSERT INTO rejected_rows(run_id, file, line, reason) VALUES(:run, :file, :line, :reason) "
      "ON CONFLICT DO NOTHING");
  for (const RejectedRow& row : rows) insert.bind(run_id, row.file, row.line, row.reason).run();
  transaction.commit();
}

}  // namespace plumb::store
