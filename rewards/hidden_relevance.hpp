#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rewards/language_model.hpp"
#include "rewards/relevance.hpp"

namespace plumb {

/// Relevance without an encoder: the cosine of pooled hidden states of a language model.
///
/// A text's state is the mean of the states after the final norm over its tokens. A BOS (or EOS)
/// that stands before it collects the attention of the first position and is left out. States of
/// language models share a large common part, so a mean over many texts is subtracted.
class HiddenRelevance final : public RelevanceBackend {
 public:
  /// @param mean      [H] subtracted from every state; empty: nothing is
  /// @param keep_end  cut texts longer than the model's context at their beginning
  /// Throws DataError if the mean has another length than the states.
  HiddenRelevance(std::shared_ptr<const LanguageModel> model, std::vector<float> mean,
                  bool keep_end);
  std::vector<double> relevance(std::span<const TextPair> pairs) const override;
  std::vector<std::string> windows(const std::string& text, std::size_t tokens) const override;
  /// Hash of the model, with the hash of the mean where there is one.
  std::string content_hash() const override;

  /// Pooled states, the mean not subtracted. @return [texts, H] float32; zeros for a text without
  /// tokens
  at::Tensor states(std::span<const std::string> texts) const;

 private:
  std::vector<std::int32_t> ids_of(const std::string& text) const;

  std::shared_ptr<const LanguageModel> model_;
  std::vector<float> mean_;
  bool keep_end_;
};

/// Mean of pooled states over texts, for HiddenRelevance. Throws DataError if there are none.
std::vector<float> mean_state(const HiddenRelevance& backend, std::span<const std::string> texts);

/// The tensor `mean` of a safetensors file. Throws DataError.
std::vector<float> read_mean_state(const std::filesystem::path& file);
void write_mean_state(const std::filesystem::path& file, const std::vector<float>& mean);

}  // namespace plumb
