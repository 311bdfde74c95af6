#pragma once
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/encoder.hpp"

/// How well a response fits a query (or a reference answer): the relevance factor of R^3.
namespace plumb {

struct TextPair {
  std::string query;
  std::string response;
};

enum class Similarity { kCosine, kDot };

/// Similarity of two embeddings of one length, summed in double. A cosine with a zero vector is 0.
double similarity(std::span<const float> a, std::span<const float> b, Similarity kind);

/// Pairs of texts in, similarities out. Stateless as seen from outside.
class RelevanceBackend {
 public:
  virtual ~RelevanceBackend() = default;
  /// One value a pair, in order: a cosine in [-1, 1], or an unbounded dot product. Texts must be
  /// valid UTF-8.
  virtual std::vector<double> relevance(std::span<const TextPair> pairs) const = 0;
  /// Slices of a text with at most `tokens` of the backend's tokens each (word_windows()); the
  /// whole text if 0.
  virtual std::vector<std::string> windows(const std::string& text, std::size_t tokens) const;
  /// What besides its options decides the values; empty if nothing.
  virtual std::string content_hash() const { return {}; }
};

/// Rows of embeddings by text, for backends that embed query and response apart: distinct texts in
/// order of appearance, and the two texts of every pair.
struct PairedTexts {
  explicit PairedTexts(std::span<const TextPair> pairs);
  /// @param embeddings [texts, H] float32, on the CPU
  std::vector<double> similarities(const at::Tensor& embeddings, Similarity kind) const;

  std::vector<std::string> texts;
  std::vector<std::pair<std::size_t, std::size_t>> rows;  // query, response
};

/// Similarity of mean-pooled embeddings. Every distinct text of a call is embedded once.
class EncoderRelevance final : public RelevanceBackend {
 public:
  /// @param keep_end  cut texts longer than the encoder's limit at their beginning
  EncoderRelevance(std::shared_ptr<const Encoder> encoder, Similarity similarity, bool keep_end);
  std::vector<double> relevance(std::span<const TextPair> pairs) const override;
  /// Never longer than the encoder reads.
  std::vector<std::string> windows(const std::string& text, std::size_t tokens) const override;
  std::string content_hash() const override;

 private:
  std::shared_ptr<const Encoder> encoder_;
  Similarity similarity_;
  bool keep_end_;
};

/// Cosine of the counts of lower-cased word tokens, in [0, 1]; 0 if a text has no words. Needs no
/// model.
class LexicalRelevance final : public RelevanceBackend {
 public:
  std::vector<double> relevance(std::span<const TextPair> pairs) const override;
};

}  // namespace plumb
