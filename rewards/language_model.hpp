#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/decoder.hpp"
#include "rewards/reward.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace plumb {

/// A decoder LM that a reward asks, with its own tokenizer and chat format.
struct LanguageModel {
  std::shared_ptr<const Decoder> decoder;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string chat_template_jinja;     // "" if the model has none
  std::string content_hash;            // SHA-256 of the weights, hexadecimal
  std::optional<ChatTemplate> chat{};  // format a run chose for it; none: the template's own
};

/// Loads a Hugging Face folder or a GGUF file for forward passes. Throws DataError.
std::shared_ptr<const LanguageModel> load_language_model(const std::filesystem::path& model,
                                                         kernels::Precision precision,
                                                         at::Device device = at::kCPU);

/// The chat format of this name, or with "auto" the model's own. Throws DataError if the model has
/// none.
ChatTemplate chat_of(const LanguageModel& model, const std::string& name);

/// Names for option declarations: auto and all chat formats.
std::vector<std::string> chat_choices();

/// A response after a prompt, as one model's tokens.
struct Continuation {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> response;
  bool sampled_ids = false;  // the response's ids are those that the policy sampled
};

/// Tokens of a sample for a model. The sampled ids are kept where this model's tokenizer reads them
/// as the same text; else the text is tokenized, and a finished response gets the chat format's end
/// of turn. Throws DataError if prompt or response has no token, or both exceed the model's
/// context.
Continuation continuation_of(const LanguageModel& model, const ChatTemplate& chat,
                             std::span<const Message> messages, const RewardSample& sample);

}  // namespace plumb
