#include "pipeline/guides.hpp"

#include <charconv>
#include <cmath>

#include "core/error.hpp"
#include "model/checkpoint.hpp"
#include "pipeline/model_setup.hpp"
#include "rollout/guided.hpp"

namespace plumb {

GuideName parse_guide(const std::string& text, const std::string& option) {
  GuideName guide{text};
  if (const std::size_t colon = text.rfind(':'); colon != std::string::npos) {
    double alpha = 0.0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, alpha);
    if (error == std::errc{} && stop == end && std::isfinite(alpha))
      guide = {text.substr(0, colon), alpha};
  }
  if (guide.model.empty())
    throw UsageError(cat(option, " = ", text, ": expected MODEL or MODEL:ALPHA"));
  return guide;
}

Guides::Guides(const GuideOptions& options, const std::string& option, const Tokenizer& base,
               const LoadGuide& load)
    : normalize_(options.normalize) {
  for (const std::string& text : options.models) {
    GuideName name = parse_guide(text, option);
    const std::filesystem::path path = resolve_model(name.model);
    std::shared_ptr<const LanguageModel> model = load(path);
    check_same_vocabulary(base, *model->tokenizer, cat(option, " = ", name.model));
    ChatTemplate chat = choose_chat_template(options.chat_template, model->chat_template_jinja);
    guides_.push_back({std::move(name), path.string(), std::move(model), std::move(chat)});
  }
}

std::unique_ptr<TokenModel> Guides::steer(const Decoder& base, double scale) const {
  std::vector<Guide> weighted;
  for (const One& guide : guides_)
    weighted.push_back({guide.model->decoder.get(), guide.name.alpha * scale});
  return std::make_unique<GuidedModel>(base, std::move(weighted), normalize_);
}

std::vector<std::vector<std::int32_t>> Guides::prompts(std::span<const Message> messages) const {
  std::vector<std::vector<std::int32_t>> out;
  for (const One& guide : guides_)
    out.push_back(guide.chat.encode(*guide.model->tokenizer, messages, true));
  return out;
}

}  // namespace plumb
