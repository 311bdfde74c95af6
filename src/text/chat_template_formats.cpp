#include "text/chat_template_formats.hpp"

#include <array>

namespace plumb {
namespace {

constexpr ChatFormat::Wrap kImSystem{"<|im_start|>system\n", "<|im_end|>\n"};
constexpr ChatFormat::Wrap kImUser{"<|im_start|>user\n", "<|im_end|>\n"};
constexpr ChatFormat::Wrap kImAssistant{"<|im_start|>assistant\n", "<|im_end|>\n"};

constexpr ChatFormat im_format(std::string_view name, std::string_view default_system) {
  return {.name = name,
          .begin = "",
          .system = kImSystem,
          .user = kImUser,
          .assistant = kImAssistant,
          .generation = kImAssistant.before,
          .end_of_turn = "<|im_end|>",
          .default_system = default_system};
}

constexpr ChatFormat with_thinking(ChatFormat format) {
  format.thinking = true;
  return format;
}

// Sources: the models' own Jinja templates as rendered by Jinja2; for alpaca the prompt of Stanford
// Alpaca.
constexpr std::array kFormats{
    ChatFormat{
        .name = "raw", .begin = "", .system = {}, .user = {}, .assistant = {}, .generation = ""},
    im_format("chatml", ""),
    im_format("smollm2", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    im_format("qwen2", "You are a helpful assistant."),
    im_format("qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    with_thinking(im_format("qwen3", "")),
    ChatFormat{.name = "llama2",
               .begin = "",
               .system = {"<<SYS>>\n", "\n<</SYS>>\n\n"},
               .user = {"<s>[INST] ", " [/INST]"},
               .assistant = {" ", " </s>"},
               .generation = "",
               .system_place = ChatFormat::System::in_first_user_turn,
               .trim = true},
    ChatFormat{.name = "llama3",
               .begin = "<|begin_of_text|>",
               .system = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
               .user = {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
               .assistant = {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
               .generation = "<|start_header_id|>assistant<|end_header_id|>\n\n",
               .end_of_turn = "<|eot_id|>",
               .trim = true},
    ChatFormat{.name = "gemma",
               .begin = "<bos>",
               .system = {"", "\n\n"},
               .user = {"<start_of_turn>user\n", "<end_of_turn>\n"},
               .assistant = {"<start_of_turn>model\n", "<end_of_turn>\n"},
               .generation = "<start_of_turn>model\n",
               .end_of_turn = "<end_of_turn>",
               .system_place = ChatFormat::System::in_first_user_turn,
               .trim = true},
    ChatFormat{.name = "mistral-v1",
               .begin = "<s>",
               .system = {"", "\n\n"},
               .user = {" [INST] ", " [/INST]"},
               .assistant = {" ", "</s>"},
               .generation = "",
               .system_place = ChatFormat::System::in_first_user_turn},
    ChatFormat{.name = "mistral-v3",
               .begin = "<s>",
               .system = {"", "\n\n"},
               .user = {"[INST] ", "[/INST]"},
               .assistant = {" ", "</s>"},
               .generation = "",
               .system_place = ChatFormat::System::in_last_user_turn},
    ChatFormat{.name = "zephyr",
               .begin = "",
               .system = {"<|system|>\n", "</s>\n"},
               .user = {"<|user|>\n", "</s>\n"},
               .assistant = {"<|assistant|>\n", "</s>\n"},
               .generation = "<|assistant|>\n"},
    ChatFormat{.name = "phi3",
               .begin = "",
               .system = {"<|system|>\n", "<|end|>\n"},
               .user = {"<|user|>\n", "<|end|>\n"},
               .assistant = {"<|assistant|>\n", "<|end|>\n"},
               .generation = "<|assistant|>\n",
               .end = "<|endoftext|>",
               .end_of_turn = "<|end|>"},
    ChatFormat{.name = "alpaca",
               .begin = "",
               .system = {},
               .user = {"\n\n### Instruction:\n", ""},
               .assistant = {"\n\n### Response:\n", ""},
               .generation = "\n\n### Response:\n",
               .default_system = "Below is an instruction that describes a task. "
                                 "Write a response that appropriately completes the request."},
};

}  // namespace

std::span<const ChatFormat> chat_formats() { return kFormats; }

}  // namespace plumb
