#include "pipeline/model_setup.hpp"

#include <ATen/Context.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"

namespace plumb {

kernels::Precision choose_precision(const std::string& dtype) {
  if (dtype == "float32") return kernels::Precision::kFloat32;
  if (kernels::has_native_bfloat16()) return kernels::Precision::kBFloat16;
  if (dtype == "bfloat16")
    log::warn(
        "bfloat16 was asked for, but this processor has no bfloat16 products; running in float32");
  return kernels::Precision::kFloat32;
}

at::Device choose_device(const std::string& device) {
  const bool has_cuda = at::globalContext().hasCUDA();
  if (device == "cuda" && !has_cuda)
    throw UsageError("device = cuda: this build of libtorch sees no CUDA device; use cpu or auto");
  return device == "cpu" || !has_cuda ? at::Device(at::kCPU) : at::Device(at::kCUDA);
}

ChatTemplate choose_chat_template(const std::string& name, const std::string& jinja) {
  if (name != "auto") return ChatTemplate::named(name);
  return jinja.empty() ? ChatTemplate::named("raw") : ChatTemplate::detect(jinja);
}

std::vector<std::int32_t> find_end_ids(const ModelConfig& config, const Tokenizer& tokenizer,
                                       const ChatTemplate& chat) {
  std::vector<std::int32_t> ids = config.eos;
  if (const std::string end = chat.end_of_turn(); !end.empty()) {
    if (const auto id = tokenizer.find(end);
        id && std::find(ids.begin(), ids.end(), *id) == ids.end())
      ids.push_back(*id);
  }
  return ids;
}

}  // namespace plumb
