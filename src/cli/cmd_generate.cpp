#include <unistd.h>

#include <iostream>

#include "cli/command.hpp"
#include "cli/command_options.hpp"
#include "cli/json_lines.hpp"
#include "cli/loaded_model.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "pipeline/guides.hpp"
#include "pipeline/model_setup.hpp"
#include "rollout/engine.hpp"

namespace plumb::cli {
namespace {

GuideOptions guide_options(const GenerateOptions& options) {
  GuideOptions out;
  out.models = options.guide;
  out.chat_template = options.guide_chat_template;
  out.normalize = options.guide_normalize;
  return out;
}

class Generator {
 public:
  explicit Generator(const GenerateOptions& options)
      : options_(options),
        model_(load_model(options.model, options.chat_template, options.dtype, options.device)),
        guides_(guide_options(options), "--guide", *model_.tokenizer,
                [&](const std::filesystem::path& path) {
                  return load_language_model(path, choose_precision(options.dtype),
                                             choose_device(options.device));
                }),
        engine_(guides_.all().empty()
                    ? RolloutEngine(*model_.decoder, *model_.tokenizer, RolloutEngine::Options{})
                    : RolloutEngine(guides_.steer(*model_.decoder), *model_.tokenizer,
                                    RolloutEngine::Options{})) {}

  /// Responses to a conversation, in sample order.
  std::vector<RolloutResponse> answer(const std::vector<Message>& messages, std::uint64_t turn) {
    RolloutRequest request;
    request.prompt_ids = model_.chat.encode(*model_.tokenizer, messages, true);
    request.guide_prompts = guides_.prompts(messages);
    request.samples = options_.samples;
    request.stream = static_cast<std::uint64_t>(text_hash63(messages.back().content));
    std::vector<RolloutResponse> responses(static_cast<std::size_t>(options_.samples));
    engine_.generate({&request, 1}, options_.sampling, model_.end_ids,
                     static_cast<std::uint64_t>(options_.seed), turn,
                     [&](RolloutResponse&& response) {
                       responses[static_cast<std::size_t>(response.sample)] = std::move(response);
                     });
    return responses;
  }

  std::string text(const RolloutResponse& response) const {
    return model_.tokenizer->decode(response.ids, true);
  }

  std::vector<Message> conversation(const std::string& prompt) const {
    std::vector<Message> messages;
    if (!options_.system.empty()) messages.push_back({"system", options_.system});
    messages.push_back({"user", prompt});
    return messages;
  }

  void print(const std::string& prompt) {
    const std::vector<RolloutResponse> responses = answer(conversation(prompt), 0);
    for (const RolloutResponse& response : responses) {
      if (options_.json) {
        std::cout << to_line(
            {{"prompt", prompt},
             {"sample", response.sample},
             {"text", text(response)},
             {"ids", response.ids},
             {"logp_policy", response.logp_policy},
             {"logp_sampling", response.logp_sampling},
             {"finish_reason", response.finish == FinishReason::kStop ? "stop" : "length"}});
      } else {
        if (responses.size() > 1)
          std::cout << (response.sample > 0 ? "\n" : "") << "--- " << response.sample + 1 << " of "
                    << responses.size() << "\n";
        std::cout << text(response) << "\n";
      }
    }
    std::cout.flush();
  }

  /// Reads a line, answers, remembers; ends with the input.
  void chat() {
    log::info("type a message; an empty line starts over, Ctrl-D ends");
    std::vector<Message> messages;
    std::string line;
    for (std::uint64_t turn = 0; std::cerr << "> " && std::getline(std::cin, line); ++turn) {
      if (line.empty()) {
        messages.clear();
        continue;
      }
      if (messages.empty()) {
        messages = conversation(line);
      } else {
        messages.push_back({"user", line});
      }
      const std::string reply = text(answer(messages, turn).front());
      std::cout << reply << "\n" << std::flush;
      messages.push_back({"assistant", reply});
    }
    std::cerr << "\n";
  }

 private:
  GenerateOptions options_;
  LoadedModel model_;
  Guides guides_;
  RolloutEngine engine_;
};

}  // namespace

int generate_command(const Arguments& arguments) {
  const auto options = read_options<GenerateOptions>(arguments);
  Generator generator(options);
  if (!options.prompt.empty()) {
    generator.print(options.prompt);
  } else if (::isatty(STDIN_FILENO) == 1) {
    generator.chat();
  } else {
    InputLines lines(std::cin);
    std::string line;
    while (lines.next(line)) {
      if (!line.empty()) generator.print(line);
    }
  }
  return 0;
}

}  // namespace plumb::cli
