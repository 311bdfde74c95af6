#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "model/model_config.hpp"
#include "text/chat_template.hpp"

/// Choices that every command makes in the same way when it puts a model to work.
namespace plumb {

/// @param dtype  auto, float32 or bfloat16; without native bfloat16 products everything runs in
/// float32
kernels::Precision choose_precision(const std::string& dtype);
/// @param device  auto, cpu or cuda. Throws UsageError if cuda is asked for and not there.
at::Device choose_device(const std::string& device);
/// @param name  a template's name, or auto for the one that fits the model's own Jinja (raw if it
/// has none)
ChatTemplate choose_chat_template(const std::string& name, const std::string& jinja);
/// Tokens that end a response: the model's EOS ids and the chat format's end of turn.
std::vector<std::int32_t> find_end_ids(const ModelConfig& config, const Tokenizer& tokenizer,
                                       const ChatTemplate& chat);

}  // namespace plumb
