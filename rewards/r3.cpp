#include "rewards/r3.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "rewards/context.hpp"
#include "rewards/hidden_relevance.hpp"
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

/// Sources of the query type, with what the mode says about them.
QueryKindOptions kind_options(const R3Options& options) {
  QueryKindOptions kind = options.kind;
  if (r3_parts(options).random_kind) kind.source = {"random"};
  return kind;
}

bool has_reference(const RewardSample& sample) {
  return sample.reference && !trim(*sample.reference).empty();
}

}  // namespace

/// A sample on its way: its score so far, and the texts whose relevance is to be measured.
struct R3Reward::Item {
  Score score;
  bool scored_by_factors = false;  // neither an error nor an empty response worth 0
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
                                    QueryKinds::make(kind_options(options), "r3", context),
                                    context.max_new_tokens());
}

std::shared_ptr<const RelevanceBackend> make_relevance_backend(const R3Options& options,
                                                               RewardContext& context) {
  if (options.backend == "lexical") return std::make_shared<LexicalRelevance>();
  if (options.backend == "lm_hidden") {
    if (options.lm.empty()) {
      throw UsageError("r3.backend = lm_hidden: name a language model in r3.lm");
    }
    return std::make_shared<HiddenRelevance>(
        context.language_model(options.lm, "r3.lm"),
        options.mean_vec.empty() ? std::vector<float>{} : read_mean_state(options.mean_vec),
        options.keep_end);
  }
  const Similarity similarity =
      options.similarity == "dot" ? Similarity::kDot : Similarity::kCosine;
  return std::make_shared<EncoderRelevance>(context.encoder(options.encoder), similarity,
                                            options.keep_end);
}

R3Reward::R3Reward(Options options, std::shared_ptr<const RelevanceBackend> backend,
                   std::int64_t max_new_tokens)
    : R3Reward(options, std::move(backend), QueryKinds(kind_options(options), nullptr),
               max_new_tokens) {}

R3Reward::R3Reward(Options options, std::shared_ptr<const RelevanceBackend> backend,
                   QueryKinds kinds, std::int64_t max_new_tokens)
    : options_(std::move(options)),
      backend_(std::move(backend)),
      kinds_(std::move(kinds)),
      clamp_negative_(options_.negative == "clamp0" ||
                      (options_.negative == "auto" && !measures_dot(options_))),
      formula_(options_, max_new_tokens),
      stops_(plumb::stop_texts(options_.stop_format, options_.stop_texts)) {}

std::string R3Reward::content_hash() const {
  const std::string backend = backend_->content_hash(), vote = kinds_.content_hash();
  return vote.empty() ? backend : cat(backend, "-", vote);
}

R3Branch R3Reward::branch_of(const RewardSample& sample, const KindDecision& decision,
                             Score& score) const {
  if (!formula_.parts().branching) return R3Branch::kOpen;
  if (!decision.kind) throw DataError(decision.error);
  score.labels.emplace_back("kind", query_kind_name(*decision.kind));
  score.labels.emplace_back("kind_source", decision.source);
  if (*decision.kind == QueryKind::kOpen) return R3Branch::kOpen;
  if (has_reference(sample)) return R3Branch::kConstrained;
  if (options_.closed_no_reference == "error") {
    throw DataError(
        "constrained query without a reference answer (r3.closed_no_reference = error)");
  }
  return options_.closed_no_reference == "open" ? R3Branch::kOpen : R3Branch::kRelevanceOnly;
}

void R3Reward::measure_words(std::string_view counted, const std::string& prompt,
                             Item& item) const {
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
}

R3Reward::Item R3Reward::prepare(const RewardSample& sample, const KindDecision& decision) const {
  Item item;
  check_readable(sample);
  const std::string_view response = readable_response(sample.response);
  item.branch = branch_of(sample, decision, item.score);
  const bool by_reference = item.branch == R3Branch::kConstrained;
  item.score.labels.emplace_back("branch", r3_branch_name(item.branch));

  const std::string prompt = clean_query(sample.messages);
  const std::string_view counted = cut_at_stop(response, stops_);
  measure_words(counted, prompt, item);
  if (decision.log_odds) item.score.components.emplace_back("kind_vote", *decision.log_odds);
  if (counted.empty()) {
    item.score.labels.emplace_back("empty", trim(response).empty() ? "response" : "after_cut");
    if (options_.empty == "zero") {
      item.score.value = item.score.raw = 0;
      return item;
    }
  }
  item.scored_by_factors = true;
  item.query = by_reference ? *sample.reference : prompt;
  if (item.query.empty()) {
    if (formula_.parts().relevance) throw DataError("the prompt has no user turn with text");
    return item;
  }
  item.score.labels.emplace_back("query", by_reference ? "reference" : "prompt");
  item.responses = backend_->windows(std::string(options_.cut_for_relevance ? counted : response),
                                     static_cast<std::size_t>(options_.window));
  return item;
}

void R3Reward::finish(const Item& item, double relevance, Score& score) const {
  R3Factors factors = item.factors;
  if (!item.responses.empty()) {
    if (!std::isfinite(relevance)) throw DataError(cat("relevance is ", relevance));
    score.components.insert(score.components.begin(), {"relevance", relevance});
    if (item.responses.size() > 1) {
      score.components.emplace_back("windows", static_cast<double>(item.responses.size()));
    }
    factors.relevance = relevance;
  }
  score.raw = formula_.value(item.branch, factors);
  if (clamp_negative_) factors.relevance = std::max(factors.relevance, 0.0);
  score.value = formula_.value(item.branch, factors);
  if (item.branch == R3Branch::kConstrained) {
    score.components.insert(score.components.begin() + 1, {"F", formula_.f(factors.relevance)});
  }
}

std::vector<Score> R3Reward::score(std::span<const RewardSample> samples) const {
  std::vector<Item> items;
  std::vector<TextPair> pairs;
  // The query type is asked for only where it decides something.
  const std::vector<KindDecision> decisions = formula_.parts().branching
                                                  ? kinds_.decide(samples)
                                                  : std::vector<KindDecision>(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    try {
      items.push_back(prepare(samples[i], decisions[i]));
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
    if (item.scored_by_factors) {
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
