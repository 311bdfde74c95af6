#pragma once
#include <memory>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"
#include "model/decoder.hpp"
#include "text/chat_template.hpp"

namespace plumb::cli {

/// A model with what belongs around it, for commands that work on one model.
struct LoadedModel {
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
  ChatTemplate chat;
  std::vector<std::int32_t> end_ids;
  std::unique_ptr<Decoder> decoder;
};
/// Throws UsageError if `model` is empty, and as load_checkpoint does.
LoadedModel load_model(const std::string& model, const std::string& chat_template,
                       const std::string& dtype, const std::string& device);

}  // namespace plumb::cli
