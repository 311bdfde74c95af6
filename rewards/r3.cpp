#include "rewards/r3.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "rewards/context.hpp"
#include "rewards/query_kind.hpp"
#include "rewards/text_statistics.hpp"
#include "text/words.hpp"

namespace plumb {
namespace {

constexpr std::size_t kCopiedNgram = 4;

void check_readable(const RewardSample& sample) {
  for (const Message& message : sample.messages) {
    if (!is_valid_utf8(message.content)) {
      throw DataError(cat(message.role, " message is not valid UTF-8"));
    }
  }
  if (sample.reference && !is_valid_utf8(*sample.reference)) {
    throw DataError("reference is not valid UTF-8");
  }
}

bool has_reference(const RewardSample& sample) {
  return sample.reference && !trim(*sample.reference).empty();
}

}  // namespace

/// A sample on its way: its score so far, and the texts whose relevance is to be measured.
struct R3Reward::Item {
  Score score;
  bool measured = false;
  R3Branch branch = R3Branch::kOpen;
  R3Factors factors;
  std::string query;
  std::vector<std::string> responses;
};

RewardInfo R3Reward::about() {
  return {"r3", "ratio", "arXiv 2402.03469",
          "relevance x length x no repetition; constrained queries against a reference"};
}

std::unique_ptr<R3Reward> R3Reward::make(const Options& options, RewardContext& context) {
  return std::make_unique<R3Reward>(options, make_relevance_backend(options, context),
                                    context.max_new_tokens());
}

std::shared_ptr<const RelevanceBackend> make_relevance_backend(const R3Options& options,
                                                               RewardContext& context) {
  if (options.backend == "lexical") return std::make_shared<LexicalRelevance>();
  const Similarity similarity =
      options.similarity == "dot" ? Similarity::kDot : Similarity::kCosine;
  return std::make_shared<EncoderRelevance>(context.encoder(options.encoder), similarity,
                                            options.keep_end);
}

R3Reward::R3Reward(Options options, std::shared_ptr<const RelevanceBackend> backend,
                   std::int64_t max_new_tokens)
    : options_(std::move(options)),
      backend_(std::move(backend)),
      formula_(options_, max_new_tokens),
      stops_(plumb::stop_texts(options_.stop_format, options_.stop_texts)) {}

R3Branch R3Reward::branch_of(const RewardSample& sample, Score& score) const {
  if (!options_.reward_branching || !options_.relevance_scaling) return R3Branch::kOpen;
  std::optional<QueryKind> kind;
  std::string source = "given";
  if (sample.kind && !trim(*sample.kind).empty()) {
    kind = parse_query_kind(*sample.kind);
    if (!kind) throw DataError(cat("kind '", *sample.kind, "': expected open or constrained"));
  } else if (options_.default_kind == "rule") {
    kind = guess_query_kind(sample.reference,
                            static_cast<std::size_t>(options_.short_reference_words));
    source = "rule";
  } else {
    kind = parse_query_kind(options_.default_kind);
    source = "default";
  }
  score.labels.emplace_back("kind", query_kind_name(*kind));
  score.labels.emplace_back("kind_source", source);
  if (*kind == QueryKind::kOpen) return R3Branch::kOpen;
  if (has_reference(sample)) return R3Branch::kConstrained;
  if (options_.closed_no_reference == "error") {
    throw DataError(
        "constrained query without a reference answer (r3.closed_no_reference = error)");
  }
  return options_.closed_no_reference == "open" ? R3Branch::kOpen : R3Branch::kRelevanceOnly;
}

R3Reward::Item R3Reward::prepare(const RewardSample& sample) const {
  Item item;
  check_readable(sample);
  const std::string_view response = readable_response(sample.response);
  item.branch = branch_of(sample, item.score);
  const bool by_reference = item.branch == R3Branch::kConstrained;
  item.score.labels.emplace_back("branch", r3_branch_name(item.branch));

  const std::string prompt = clean_query(sample.messages);
  const std::string_view counted = cut_at_stop(response, stops_);
  const auto words = wordpunct(counted), prompt_words = wordpunct(prompt);
  const NgramCounts ngrams = count_ngrams(words, static_cast<std::size_t>(options_.ngram));
  item.factors.length_incentive = length_incentive(words.size(), options_.li_div, options_.li_cap);
  item.factors.repetition_penalty = ngrams.ratio();
  item.score.components = {{"li", item.factors.length_incentive},
                           {"rp", item.factors.repetition_penalty},
                           {"words", static_cast<double>(words.size())},
                           {"trigrams", static_cast<double>(ngrams.total)},
                           {"unique_trigrams", static_cast<double>(ngrams.unique)},
                           {"copy_rate", copy_rate(words, prompt_words, kCopiedNgram)}};
  if (counted.empty()) {
    item.score.labels.emplace_back("empty", trim(response).empty() ? "response" : "after_cut");
    if (options_.empty == "zero") {
      item.score.value = item.score.raw = 0;
      return item;
    }
  }
  if (options_.relevance_scaling) {
    item.score.labels.emplace_back("query", by_reference ? "reference" : "prompt");
    item.query = by_reference ? *sample.reference : prompt;
    if (item.query.empty()) throw DataError("the prompt has no user turn with text");
    item.responses = word_windows(std::string(options_.cut_for_relevance ? counted : response),
                                  static_cast<std::size_t>(options_.window_words));
  }
  item.measured = true;
  return item;
}

void R3Reward::finish(const Item& item, double relevance, Score& score) const {
  R3Factors factors = item.factors;
  if (options_.relevance_scaling) {
    if (!std::isfinite(relevance)) throw DataError(cat("relevance is ", relevance));
    score.components.insert(score.components.begin(), {"relevance", relevance});
    factors.relevance = relevance;
  }
  score.raw = formula_.value(item.branch, factors);
  if (options_.negative == "clamp0") factors.relevance = std::max(factors.relevance, 0.0);
  score.value = formula_.value(item.branch, factors);
  if (item.branch == R3Branch::kConstrained) {
    score.components.insert(score.components.begin() + 1, {"F", formula_.f(factors.relevance)});
  }
}

std::vector<Score> R3Reward::score(std::span<const RewardSample> samples) const {
  std::vector<Item> items;
  std::vector<TextPair> pairs;
  for (const RewardSample& sample : samples) {
    try {
      items.push_back(prepare(sample));
    } catch (const DataError& error) {
      items.emplace_back().score.error = error.what();
    }
    for (const std::string& response : items.back().responses) {
      pairs.push_back({items.back().query, response});
    }
  }
  const std::vector<double> relevance = backend_->relevance(pairs);
  std::vector<Score> scores;
  auto next = relevance.begin();
  for (Item& item : items) {
    const auto end = next + static_cast<std::ptrdiff_t>(item.responses.size());
    Score& score = scores.emplace_back(std::move(item.score));
    if (item.measured) {
      try {
        finish(item, next == end ? 1.0 : *std::max_element(next, end), score);
      } catch (const DataError& error) {
        score.error = error.what();
      }
    }
    next = end;
  }
  return scores;
}

}  // namespace plumb
