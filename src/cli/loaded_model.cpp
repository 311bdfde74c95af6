#include "cli/loaded_model.hpp"

#include "core/error.hpp"
#include "pipeline/model_setup.hpp"

namespace plumb::cli {

LoadedModel load_model(const std::string& model, const std::string& chat_template,
                       const std::string& dtype, const std::string& device) {
  if (model.empty())
    throw UsageError(
        "--model is not set: give a Hugging Face folder, a .gguf file, or a hub id in the local "
        "cache");
  const Checkpoint checkpoint = load_checkpoint(model);
  LoadedModel out{checkpoint.config,
                  checkpoint.tokenizer,
                  choose_chat_template(chat_template, checkpoint.chat_template_jinja),
                  {},
                  nullptr};
  out.end_ids = find_end_ids(out.config, *out.tokenizer, out.chat);
  out.decoder = std::make_unique<Decoder>(checkpoint.config, checkpoint.weights,
                                          choose_precision(dtype), false, choose_device(device));
  return out;
}

}  // namespace plumb::cli
