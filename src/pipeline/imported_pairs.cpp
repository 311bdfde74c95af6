#include "pipeline/imported_pairs.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "store/samples.hpp"
#include "text/token_range.hpp"

namespace plumb {
namespace {

constexpr const char* kImported = "import";  // strategy of a pair set

/// A row that cannot be used, with its code.
struct Refusal {
  std::string code, reason;
};

/// Why a pair does not fit into the model, or nothing.
std::optional<Refusal> size_refusal(const RunContext& context, const store::PromptRow& prompt,
                                    const ImportedPair& pair) {
  const auto length = static_cast<std::int64_t>(prompt.ids.size());
  const auto longest =
      static_cast<std::int64_t>(std::max(pair.chosen.ids.size(), pair.rejected.ids.size()));
  const std::int64_t context_length = context.model_config().max_position_embeddings;
  const std::int64_t longest_prompt = context.config.data.max_prompt_length;
  if (longest_prompt > 0 && length > longest_prompt)
    return Refusal{"too_long", cat("prompt of ", length, " tokens; data.max_prompt_length is ",
                                   longest_prompt)};
  if (length + longest > context_length)
    return Refusal{"too_long", cat("prompt (", length, " tokens) and response (", longest,
                                   ") exceed the model's context of ", context_length)};
  return std::nullopt;
}

/// The key spans of a row on its answers' tokens. A token that two phrases share belongs to the
/// first.
std::vector<store::PairSpan> spans_in_tokens(const Tokenizer& tokenizer, const DatasetRow& row,
                                             const ImportedPair& pair) {
  std::vector<store::PairSpan> out;
  std::int64_t chosen_done = 0, rejected_done = 0;
  for (const KeySpan& span : row.key_spans) {
    auto [chosen_begin, chosen_end] =
        tokens_over(tokenizer, pair.chosen.ids, span.chosen_begin, span.chosen_end);
    auto [rejected_begin, rejected_end] =
        tokens_over(tokenizer, pair.rejected.ids, span.rejected_begin, span.rejected_end);
    chosen_begin = std::max(chosen_begin, chosen_done);
    rejected_begin = std::max(rejected_begin, rejected_done);
    chosen_done = std::max(chosen_begin, chosen_end);
    rejected_done = std::max(rejected_begin, rejected_end);
    if (chosen_begin == chosen_done && rejected_begin == rejected_done) continue;
    out.push_back({0, static_cast<std::int64_t>(out.size()), chosen_begin, chosen_done,
                   rejected_begin, rejected_done});
  }
  return out;
}

/// Writes a pair set with the spans of its pairs, a list a pair. @return id
std::int64_t write_pairs_with_spans(store::Database& db, const store::PairSet& set,
                                    const std::vector<store::PairRow>& rows,
                                    const std::vector<std::vector<store::PairSpan>>& spans) {
  const std::int64_t id = store::write_pair_set(db, set, rows, {});
  const std::vector<store::PairRow> written = store::active_pairs(db, id);
  expects(written.size() == rows.size() && spans.size() == rows.size(), "every pair to be written");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (store::PairSpan span : spans[i]) {
      span.pair_id = written[i].id;
      store::add_pair_span(db, span);
    }
  }
  return id;
}

/// Reads one file after the other into a pool.
class PairReader {
 public:
  PairReader(const RunContext& context, const ReferenceAnswers& references,
             std::set<std::string>& seen)
      : context_(context), references_(references), taken_(seen), seen_(seen) {}

  void read(const std::string& file) {
    const DataOptions& data = context_.config.data;
    const Dataset dataset =
        read_run_dataset(context_, file, DatasetKind::kPair, pool_.prompts.rejected);
    const std::int64_t before = pool_.count;
    const std::size_t read = pool_.prompts.rejected.size();
    std::map<std::string, std::int64_t> refused;
    for (const DatasetRow& row : dataset.rows) {
      const std::optional<Refusal> refusal = add(file, row);
      if (!refusal) continue;
      const bool unreadable = refusal->code == "bad_roles" || refusal->code == "bad_spans";
      const bool stops = refusal->code == "too_long" ? data.truncation == "error"
                                                     : unreadable && data.bad_rows == "error";
      if (stops) {
        throw DataError(cat(file, ":", row.line, ": ", refusal->reason,
                            ". Take the row out, or leave such rows out with data.",
                            refusal->code == "too_long" ? "truncation = drop" : "bad_rows = skip"));
      }
      pool_.prompts.rejected.push_back({file, row.line, cat(refusal->code, ": ", refusal->reason)});
      ++refused[refusal->code];
    }
    warn_of_rejected(std::span(pool_.prompts.rejected).subspan(read));
    std::string left_out;
    if (!dataset.rejected.empty()) left_out += cat(", ", dataset.rejected.size(), " bad rows");
    for (const auto& [code, count] : refused) left_out += cat(", ", count, " ", code);
    log::info(cat(file, ": ", pool_.count - before, " pairs",
                  dataset.mapping.empty() ? "" : " (" + dataset.mapping + ")",
                  left_out.empty() ? "" : "; left out" + left_out.substr(1)));
  }

  PairPool take() { return std::move(pool_); }

 private:
  bool decodes_to(const ImportedResponse& response) const {
    return context_.tokenizer().decode(response.ids).starts_with(response.text);
  }
  std::optional<Refusal> add(const std::string& file, const DatasetRow& row) {
    store::PromptRow prompt;
    try {
      prompt = make_prompt_row(context_, file, row);
      references_.fill(prompt);
    } catch (const DataError& error) {
      return Refusal{"bad_roles", error.what()};
    }
    ImportedPair pair{file,
                      row.line,
                      {row.chosen, answer_ids(context_, row.chosen)},
                      {row.rejected, answer_ids(context_, row.rejected)},
                      0.0};
    if (row.chosen_score && row.rejected_score)
      pair.margin = *row.chosen_score - *row.rejected_score;
    if (const auto refusal = size_refusal(context_, prompt, pair)) return refusal;
    if (!row.key_spans.empty()) {
      if (!decodes_to(pair.chosen) || !decodes_to(pair.rejected))
        return Refusal{"bad_spans",
                       "the tokenizer changes an answer's text, so that its marked "
                       "phrases have no place among the tokens"};
      pair.spans = spans_in_tokens(context_.tokenizer(), row, pair);
    }
    const std::string hash = store::prompt_sha256(prompt);
    if (taken_.contains(hash))
      return Refusal{"duplicate", "the prompt is held out by another file"};
    if (!contents_.insert(cat(hash, text_hash63(row.chosen), ":", text_hash63(row.rejected)))
             .second)
      return Refusal{"duplicate", "the same pair stands in an earlier row"};
    if (seen_.insert(hash).second) pool_.prompts.prompts.push_back(std::move(prompt));
    pool_.pairs[hash].push_back(std::move(pair));
    ++pool_.count;
    return std::nullopt;
  }

  const RunContext& context_;
  const ReferenceAnswers& references_;
  const std::set<std::string> taken_;
  std::set<std::string>& seen_;
  std::set<std::string> contents_;
  PairPool pool_;
};

/// Responses of a suite by prompt and text, so that a text is stored once.
class ResponseTable {
 public:
  ResponseTable(RunContext& context, const PairPlace& place) : context_(context), place_(place) {
    for (const store::SampleRow& row :
         store::samples(context.db, place.iteration_id, place.suite)) {
      ids_[{row.prompt_id, row.text}] = row.id;
      next_[row.prompt_id] = std::max(next_[row.prompt_id], row.k + 1);
    }
  }
  std::int64_t id_of(std::int64_t prompt_id, const ImportedResponse& response) {
    const auto [known, fresh] = ids_.try_emplace({prompt_id, response.text}, 0);
    if (!fresh) return known->second;
    store::SampleRow row;
    row.iteration_id = place_.iteration_id;
    row.prompt_id = prompt_id;
    row.suite = place_.suite;
    row.k = next_[prompt_id]++;
    row.seed = context_.run.seed;
    row.source = "dataset";
    row.finish_reason = "stop";
    row.ids = response.ids;
    row.text = response.text;
    return known->second = store::add_sample(context_.db, row);
  }

 private:
  RunContext& context_;
  const PairPlace& place_;
  std::map<std::pair<std::int64_t, std::string>, std::int64_t> ids_;
  std::map<std::int64_t, std::int64_t> next_;
};

std::string files_json(const std::set<std::string>& files) {
  nlohmann::json out = nlohmann::json::array();
  for (const std::string& file : files) {
    out.push_back({{"file", std::filesystem::path(file).filename().string()},
                   {"sha256", sha256_hex_of_file(file)}});
  }
  return nlohmann::json{{"files", out}}.dump();
}

}  // namespace

PairPool read_pair_files(const RunContext& context, const std::vector<std::string>& files,
                         const ReferenceAnswers& references, std::set<std::string>& seen) {
  PairReader reader(context, references, seen);
  for (const std::string& file : files) reader.read(file);
  return reader.take();
}

std::int64_t store_pairs(RunContext& context, const PairPlace& place, const PairPool& pool,
                         const std::vector<store::PromptRow>& prompts) {
  store::Transaction transaction(context.db);
  ResponseTable responses(context, place);
  std::vector<store::PairRow> rows;
  std::vector<std::vector<store::PairSpan>> spans;
  std::set<std::string> files;
  for (const store::PromptRow& prompt : prompts) {
    const auto found = pool.pairs.find(store::prompt_sha256(prompt));
    if (found == pool.pairs.end()) continue;
    const std::int64_t prompt_id = store::add_prompt(context.db, prompt);
    for (const ImportedPair& pair : found->second) {
      store::PairRow row;
      row.prompt_id = prompt_id;
      row.chosen_id = responses.id_of(prompt_id, pair.chosen);
      row.rejected_id = responses.id_of(prompt_id, pair.rejected);
      row.margin = pair.margin;
      rows.push_back(row);
      spans.push_back(pair.spans);
      files.insert(pair.file);
    }
  }
  if (rows.empty()) return 0;
  store::PairSet set;
  set.iteration_id = place.iteration_id;
  set.name = place.set;
  set.strategy = kImported;
  set.config = files_json(files);
  write_pairs_with_spans(context.db, set, rows, spans);
  transaction.commit();
  return static_cast<std::int64_t>(rows.size());
}

void import_pair_set(RunContext& context, const std::vector<std::string>& files,
                     const store::Iteration& iteration) {
  const std::string& name = context.config.pair.set;
  const std::string source = files_json({files.begin(), files.end()});
  if (const auto known = store::find_pair_set(context.db, iteration.id, name)) {
    if (known->strategy == kImported && known->config == source) {
      log::info(cat("iteration ", iteration.index, " has these pairs already as set ", name));
      return;
    }
    throw UsageError(cat("pair.set = ", name, ": iteration ", iteration.index,
                         " has another pair set of this name; choose a new one with --pair.set"));
  }
  std::set<std::string> seen;
  std::vector<store::RejectedRow> rejected;
  PairPool pool = read_pair_files(context, files, ReferenceAnswers(context, rejected), seen);
  for (store::PromptRow& prompt : pool.prompts.prompts) prompt.split = "train";
  store::Transaction transaction(context.db);
  rejected.insert(rejected.end(), pool.prompts.rejected.begin(), pool.prompts.rejected.end());
  store::add_rejected_rows(context.db, context.run.id, rejected);
  const std::int64_t count =
      store_pairs(context, {iteration.id, name, kImportSuite}, pool, pool.prompts.prompts);
  transaction.commit();
  if (count == 0) throw DataError(cat(files.front(), ": no row gives a pair"));
  log::info(cat("iteration ", iteration.index, ": ", count, " pairs as set ", name));
}

std::vector<std::int64_t> imported_prompts(const RunContext& context) {
  std::vector<std::int64_t> out;
  const auto zero = store::find_iteration(context.db, context.run.id, 0);
  const auto set = zero ? store::find_pair_set(context.db, zero->id, kImportedPairs) : std::nullopt;
  if (!set || !context.config.imports_pairs()) return out;
  std::set<std::int64_t> seen;
  for (const store::PairRow& row : store::active_pairs(context.db, set->id)) {
    if (seen.insert(row.prompt_id).second) out.push_back(row.prompt_id);
  }
  return out;
}

void take_imported_pairs(RunContext& context, const store::Iteration& iteration) {
  const auto zero = store::find_iteration(context.db, context.run.id, 0);
  expects(zero.has_value(), "an initial iteration");
  const auto library = store::find_pair_set(context.db, zero->id, kImportedPairs);
  expects(library.has_value(), "imported pairs");
  std::set<std::int64_t> wanted;
  for (const store::PromptRow& prompt :
       store::run_prompts(context.db, context.run.id, "train", iteration.index))
    wanted.insert(prompt.id);
  std::vector<store::PairRow> rows = store::active_pairs(context.db, library->id);
  std::erase_if(rows, [&](const store::PairRow& row) { return !wanted.contains(row.prompt_id); });

  store::PairSet set = *library;
  set.iteration_id = iteration.id;
  set.name = context.config.pair.set;
  store::Transaction transaction(context.db);
  std::vector<std::vector<store::PairSpan>> spans;
  for (const store::PairRow& row : rows) spans.push_back(store::pair_spans(context.db, row.id));
  write_pairs_with_spans(context.db, set, rows, spans);
  transaction.commit();
  log::info(cat("pairs: ", rows.size(), " imported ones over ", wanted.size(), " prompts"));
}

}  // namespace plumb
