#include "rewards/relevance.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "core/error.hpp"
#include "rewards/response_text.hpp"
#include "text/unicode.hpp"
#include "text/words.hpp"

namespace plumb {
namespace {

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

std::string lower_case(std::string_view word) {
  std::string out;
  while (!word.empty()) {
    const unicode::CodePoint point = unicode::first(word);
    unicode::append_lowercase(out, point.value);
    word.remove_prefix(point.size);
  }
  return out;
}

using Counts = std::unordered_map<std::string, double>;

Counts count_words(std::string_view text) {
  Counts counts;
  for (const std::string_view word : wordpunct(text)) counts[lower_case(word)] += 1;
  return counts;
}

double dot(const Counts& a, const Counts& b) {
  double sum = 0;
  for (const auto& [word, count] : a) {
    const auto other = b.find(word);
    if (other != b.end()) sum += count * other->second;
  }
  return sum;
}

double cosine(double product, double square_a, double square_b) {
  const double norm = std::sqrt(square_a) * std::sqrt(square_b);
  return norm > 0 ? product / norm : 0.0;
}

}  // namespace

double similarity(std::span<const float> a, std::span<const float> b, Similarity kind) {
  expects(a.size() == b.size(), "embeddings of one length");
  const double product = dot(a, b);
  return kind == Similarity::kDot ? product : cosine(product, dot(a, a), dot(b, b));
}

std::vector<std::string> RelevanceBackend::windows(const std::string& text,
                                                   std::size_t tokens) const {
  return word_windows(text, tokens, [](std::string_view) { return std::size_t{1}; });
}

PairedTexts::PairedTexts(std::span<const TextPair> pairs) {
  std::unordered_map<std::string_view, std::size_t> numbers;
  const auto number_of = [&](std::string_view text) {
    const auto [entry, added] = numbers.try_emplace(text, texts.size());
    if (added) texts.emplace_back(text);
    return entry->second;
  };
  for (const TextPair& pair : pairs) {
    const std::size_t query = number_of(pair.query);
    rows.emplace_back(query, number_of(pair.response));
  }
}

std::vector<double> PairedTexts::similarities(const at::Tensor& embeddings, Similarity kind) const {
  const at::Tensor held = embeddings.cpu().contiguous();
  const auto width = static_cast<std::size_t>(held.size(1));
  const auto row = [&](std::size_t text) {
    return std::span(held.const_data_ptr<float>() + text * width, width);
  };
  std::vector<double> values;
  for (const auto& [query, response] : rows) {
    values.push_back(similarity(row(query), row(response), kind));
  }
  return values;
}

EncoderRelevance::EncoderRelevance(std::shared_ptr<const Encoder> encoder, Similarity similarity,
                                   bool keep_end)
    : encoder_(std::move(encoder)), similarity_(similarity), keep_end_(keep_end) {}

std::vector<double> EncoderRelevance::relevance(std::span<const TextPair> pairs) const {
  if (pairs.empty()) return {};
  const PairedTexts paired(pairs);
  return paired.similarities(encoder_->embed(paired.texts, keep_end_), similarity_);
}

std::vector<std::string> EncoderRelevance::windows(const std::string& text,
                                                   std::size_t tokens) const {
  const Tokenizer& tokenizer = encoder_->tokenizer();
  const std::size_t around = (tokenizer.bos() ? 1 : 0) + (tokenizer.eos() ? 1 : 0);
  const std::size_t room = static_cast<std::size_t>(encoder_->max_tokens()) - around;
  return word_windows(text, std::min(tokens, room),
                      [&](std::string_view word) { return tokenizer.encode(word).size(); });
}

std::string EncoderRelevance::content_hash() const { return encoder_->content_hash(); }

std::vector<double> LexicalRelevance::relevance(std::span<const TextPair> pairs) const {
  std::vector<double> values;
  for (const TextPair& pair : pairs) {
    const Counts query = count_words(pair.query), response = count_words(pair.response);
    values.push_back(cosine(dot(query, response), dot(query, query), dot(response, response)));
  }
  return values;
}

}  // namespace plumb
