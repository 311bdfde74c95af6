#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rewards/language_model.hpp"
#include "rollout/token_model.hpp"

namespace plumb {

/// A reward model that steers sampling, as options name it: MODEL or MODEL:ALPHA.
struct GuideName {
  std::string model;
  double alpha = 1.0;
};
/// Throws UsageError naming `option` if there is no model.
GuideName parse_guide(const std::string& text, const std::string& option);

/// Which models steer, and how.
struct GuideOptions {
  std::vector<std::string> models;
  std::string chat_template = "auto";
  bool normalize = false;
  static void describe(auto& self, auto&& field) {
    field("models", self.models,
          "autoregressive reward models that steer what is sampled, MODEL or MODEL:ALPHA; "
          "ALPHA (1) is the weight of their logits");
    field("chat_template", self.chat_template, Choices{chat_choices()},
          "chat format of the guides' prompts; auto: each its own");
    field("normalize", self.normalize, "divide the summed logits by 1 + the sum of the weights");
  }
};

/// The same for a run, which also evaluates with them.
struct RunGuideOptions : GuideOptions {
  std::vector<double> scales{1.0};
  static void describe(auto& self, auto&& field) {
    GuideOptions::describe(self, field);
    field("scales", self.scales,
          "evaluation samples unguided, and once more for each of these with all weights times it; "
          "empty: only unguided");
  }
};

/// Loads the language model of a path.
using LoadGuide =
    std::function<std::shared_ptr<const LanguageModel>(const std::filesystem::path& path)>;

/// Loaded guides (GenARM, arXiv:2410.08193) and their chat formats.
class Guides {
 public:
  /// Throws UsageError if a guide's vocabulary is not that of the base, DataError for files.
  /// @param option  name of the option that lists them, for errors
  Guides(const GuideOptions& options, const std::string& option, const Tokenizer& base,
         const LoadGuide& load);

  struct One {
    GuideName name;
    std::string path;
    std::shared_ptr<const LanguageModel> model;
    ChatTemplate chat;
  };
  const std::vector<One>& all() const { return guides_; }
  /// The base steered by all guides with their weights times `scale`. The base must outlive it.
  std::unique_ptr<TokenModel> steer(const Decoder& base, double scale = 1.0) const;
  /// A conversation as each guide reads it.
  std::vector<std::vector<std::int32_t>> prompts(std::span<const Message> messages) const;

 private:
  std::vector<One> guides_;
  bool normalize_;
};

}  // namespace plumb
