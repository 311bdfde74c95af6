#pragma once
#include <memory>
#include <string>

#include "service/text_model.hpp"

namespace plumb::cli {

/// Loads a language model for the completion routes. Throws UsageError, DataError.
std::shared_ptr<service::TextModel> load_text_model(const std::string& model,
                                                    const std::string& chat_template,
                                                    const std::string& dtype,
                                                    const std::string& device);

}  // namespace plumb::cli
