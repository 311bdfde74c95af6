#include "store/samples.hpp"

#include <algorithm>
#include <numeric>

#include "core/hash.hpp"

namespace plumb::store {
namespace {

constexpr const char* kColumns =
    "SELECT s.sample_id, s.iteration_id, s.prompt_id, s.suite, s.k, s.seed, s.source, "
    "s.finish_reason, s.checkpoint_id, "
    "t.ids, t.logp_policy, t.logp_sampling, s.text FROM samples s JOIN sample_tokens t "
    "USING(sample_id) ";

SampleRow read_sample(const Statement& row) {
  SampleRow out;
  out.id = row.integer(0);
  out.iteration_id = row.integer(1);
  out.prompt_id = row.integer(2);
  out.suite = row.text(3);
  out.k = row.integer(4);
  out.seed = row.integer(5);
  out.source = row.text(6);
  out.finish_reason = row.text(7);
  out.checkpoint_id = row.optional_integer(8);
  out.ids = unpack_ids(row.blob(9));
  out.logp_policy = unpack_floats(row.blob(10));
  out.logp_sampling = unpack_floats(row.blob(11));
  out.text = row.text(12);
  return out;
}

double sum(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

/// Sum of per-token values, or nothing if there are none for a response that has tokens.
std::optional<double> total(const SampleRow& sample, const std::vector<float>& values) {
  if (values.empty() && !sample.ids.empty()) return std::nullopt;
  return sum(values);
}

std::optional<std::span<const std::byte>> packed(const SampleRow& sample,
                                                 const std::vector<float>& values,
                                                 const char* name) {
  if (values.empty() && !sample.ids.empty()) return std::nullopt;
  if (values.size() != sample.ids.size()) {
    throw InternalError(cat("store: sample of prompt ", sample.prompt_id, ", k = ", sample.k, ": ",
                            values.size(), " values of ", name, " for ", sample.ids.size(),
                            " tokens"));
  }
  return pack(values);
}

/// Characters of a UTF-8 text.
std::int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

}  // namespace

std::int64_t add_sample(Database& db, const SampleRow& sample) {
  expects(db.in_transaction(), "samples to be added inside of a transaction");
  const auto logp_policy = packed(sample, sample.logp_policy, "logp_policy");
  const auto logp_sampling = packed(sample, sample.logp_sampling, "logp_sampling");
  db.prepare(
        "INSERT INTO samples(iteration_id, suite, prompt_id, k, seed, source, finish_reason, "
        "checkpoint_id, n_tokens, n_chars, logp_policy, "
        "logp_sampling, text_hash, text) VALUES(:iteration, :suite, :prompt, :k, :seed, :source, "
        ":finish_reason, :checkpoint, :n_tokens, "
        ":n_chars, :logp_policy, :logp_sampling, :text_hash, :text)")
      .bind(sample.iteration_id, sample.suite, sample.prompt_id, sample.k, sample.seed,
            sample.source, sample.finish_reason, sample.checkpoint_id,
            static_cast<std::int64_t>(sample.ids.size()), characters(sample.text),
            total(sample, sample.logp_policy), total(sample, sample.logp_sampling),
            text_hash63(sample.text), sample.text)
      .run();
  const std::int64_t id = db.last_insert_id();
  db.prepare(
        "INSERT INTO sample_tokens(sample_id, ids, logp_policy, logp_sampling) VALUES(:sample, "
        ":ids, :logp_policy, :logp_sampling)")
      .bind(id, pack(sample.ids), logp_policy, logp_sampling)
      .run();
  return id;
}

std::optional<SampleRow> find_sample(const Database& db, std::int64_t id) {
  Statement query = db.prepare(std::string(kColumns) + "WHERE s.sample_id=?");
  if (!query.bind(id).step()) return std::nullopt;
  return read_sample(query);
}

std::vector<SampleRow> samples(const Database& db, std::int64_t iteration_id,
                               const std::string& suite) {
  Statement query = db.prepare(std::string(kColumns) +
                               "WHERE s.iteration_id=? AND s.suite=? ORDER BY s.prompt_id, s.k");
  query.bind(iteration_id, suite);
  std::vector<SampleRow> out;
  while (query.step()) out.push_back(read_sample(query));
  return out;
}

std::vector<std::pair<std::int64_t, std::int64_t>> sample_counts(const Database& db,
                                                                 std::int64_t iteration_id,
                                                                 const std::string& suite) {
  Statement query = db.prepare(
      "SELECT prompt_id, count(*) FROM samples WHERE iteration_id=? AND suite=? GROUP BY prompt_id "
      "ORDER BY prompt_id");
  query.bind(iteration_id, suite);
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  while (query.step()) out.emplace_back(query.integer(0), query.integer(1));
  return out;
}

void add_reference_logps(Database& db, const ReferenceLogps& row) {
  Transaction transaction(db);
  Statement length = db.prepare("SELECT n_tokens FROM samples WHERE sample_id=?");
  if (length.bind(row.sample_id).step() &&
      length.integer(0) != static_cast<std::int64_t>(row.values.size())) {
    throw InternalError(cat("store: ", row.values.size(), " reference log-probs for the ",
                            length.integer(0), " tokens of sample ", row.sample_id));
  }
  db.prepare("DELETE FROM reference_logps WHERE sample_id=? AND checkpoint_id=?")
      .bind(row.sample_id, row.checkpoint_id)
      .run();
  db.prepare(
        "INSERT INTO reference_logps(sample_id, checkpoint_id, total, vals) VALUES(:sample, "
        ":checkpoint, :total, :vals)")
      .bind(row.sample_id, row.checkpoint_id, row.total, pack(row.values))
      .run();
  transaction.commit();
}

std::optional<ReferenceLogps> find_reference_logps(const Database& db, std::int64_t sample_id,
                                                   std::int64_t checkpoint_id) {
  Statement query =
      db.prepare("SELECT total, vals FROM reference_logps WHERE sample_id=? AND checkpoint_id=?");
  if (!query.bind(sample_id, checkpoint_id).step()) return std::nullopt;
  return ReferenceLogps{sample_id, checkpoint_id, query.real(0), unpack_floats(query.blob(1))};
}

}  // namespace plumb::store
