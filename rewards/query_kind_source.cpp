#include "rewards/query_kind_source.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/rng.hpp"
#include "core/strings.hpp"
#include "rewards/context.hpp"
#include "rewards/response_text.hpp"

namespace plumb {
namespace {

bool has(const std::vector<std::string>& names, const char* name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_own_kind(const RewardSample& sample) { return sample.kind && !trim(*sample.kind).empty(); }

/// The same for every response to a prompt, whatever the batch.
QueryKind drawn_kind(const RewardSample& sample, std::int64_t seed) {
  const auto prompt = static_cast<std::uint64_t>(text_hash63(clean_query(sample.messages)));
  const RandomStream stream(static_cast<std::uint64_t>(seed), 0, prompt);
  return stream.uniform(0) < 0.5 ? QueryKind::kOpen : QueryKind::kConstrained;
}

}  // namespace

QueryKinds QueryKinds::make(const QueryKindOptions& options, const std::string& section,
                            RewardContext& context) {
  if (options.source.empty()) {
    throw UsageError(cat(section, ".qtype_source is empty: name at least one source"));
  }
  if (!has(options.source, "lm")) return {options, nullptr};
  if (options.model.empty()) {
    throw UsageError(cat(section, ".qtype_source has lm, but ", section,
                         ".qtype_model is empty: name a language model"));
  }
  return {options,
          std::make_shared<KindVote>(
              context.language_model(options.model, cat(section, ".qtype_model")), options.vote)};
}

QueryKinds::QueryKinds(QueryKindOptions options, std::shared_ptr<const KindVote> vote)
    : options_(std::move(options)), vote_(std::move(vote)) {
  expects(vote_ != nullptr || !has(options_.source, "lm"), "a model for the source lm");
}

std::string QueryKinds::content_hash() const { return vote_ ? vote_->content_hash() : ""; }

std::vector<KindDecision> QueryKinds::decide(std::span<const RewardSample> samples) const {
  const auto lm = std::find(options_.source.begin(), options_.source.end(), "lm");
  const bool column_first = std::find(options_.source.begin(), lm, "column") != lm;
  std::map<std::string, std::size_t> numbers;
  std::vector<std::string> queries;
  std::vector<std::optional<std::size_t>> query_of(samples.size());
  for (std::size_t i = 0; vote_ && i < samples.size(); ++i) {
    if (column_first && has_own_kind(samples[i])) continue;
    const std::string query = clean_query(samples[i].messages);
    if (query.empty() || !is_valid_utf8(query)) continue;
    const auto [entry, added] = numbers.try_emplace(query, queries.size());
    if (added) queries.push_back(query);
    query_of[i] = entry->second;
  }
  std::vector<std::optional<double>> votes;
  if (!queries.empty()) votes = vote_->log_odds(queries);
  std::vector<KindDecision> decisions;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    decisions.push_back(decide(samples[i], query_of[i] ? votes[*query_of[i]] : std::nullopt));
  }
  return decisions;
}

KindDecision QueryKinds::decide(const RewardSample& sample, std::optional<double> log_odds) const {
  KindDecision decision;
  decision.log_odds = log_odds;
  for (const std::string& source : options_.source) {
    decision.source = source;
    if (source == "column") {
      if (!has_own_kind(sample)) continue;
      decision.source = "given";
      decision.kind = parse_query_kind(*sample.kind);
      if (!decision.kind) {
        decision.error = cat("kind '", *sample.kind, "': expected open or constrained");
      }
    } else if (source == "lm") {
      if (!log_odds) continue;
      decision.kind = *log_odds > 0 ? QueryKind::kConstrained : QueryKind::kOpen;
    } else if (source == "rule") {
      decision.kind =
          guess_query_kind(sample.reference, static_cast<std::size_t>(options_.short_words));
    } else if (source == "random") {
      decision.kind = drawn_kind(sample, options_.seed);
    } else {
      decision.kind = parse_query_kind(source);
      decision.source = "fixed";
    }
    return decision;
  }
  decision.error =
      cat("the query type is not known to any of qtype_source = ", join(options_.source, ", "),
          "; add rule, open or constrained to it");
  return decision;
}

}  // namespace plumb
