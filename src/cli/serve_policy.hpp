#pragma once
#include <memory>
#include <string>

#include "pipeline/guides.hpp"
#include "rewards/context.hpp"
#include "service/text_model.hpp"

namespace plumb::cli {

/// A language model for the routes that sample or ask for log-probs, steered by guides if there are
/// any. Models that `context` has loaded are shared. Throws UsageError, DataError.
std::shared_ptr<service::TextModel> load_text_model(const std::string& model,
                                                    const std::string& chat_template,
                                                    const GuideOptions& guides,
                                                    RewardContext& context);

}  // namespace plumb::cli
