#pragma once
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "model/checkpoint.hpp"
#include "support/tiny_model.hpp"

/// A whole policy folder with a random two-layer model and a byte-level tokenizer, and prompts to
/// go with it.
namespace plumb::test {

/// UTF-8 of the character by which byte-level BPE writes a byte.
inline std::string byte_character(int byte) {
  const auto printable = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  int code = byte;
  if (!printable(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

/// tokenizer.json: one token a byte behind three specials, no merges.
inline void write_byte_tokenizer(const std::filesystem::path& folder) {
  nlohmann::json vocab, added = nlohmann::json::array();
  int id = 0;
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    vocab[special] = id;
    added.push_back({{"id", id++},
                     {"content", special},
                     {"special", true},
                     {"normalized", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"single_word", false}});
  }
  for (int byte = 0; byte < 256; ++byte) vocab[byte_character(byte)] = id++;
  const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                     {"add_prefix_space", false},
                                     {"trim_offsets", true},
                                     {"use_regex", true}};
  const nlohmann::json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}};
  std::ofstream(folder / "tokenizer.json") << tokenizer.dump();
  const std::string chatml =
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
      "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  std::ofstream(folder / "tokenizer_config.json") << nlohmann::json{
      {"tokenizer_class", "PreTrainedTokenizerFast"},
      {"eos_token", "<|im_end|>"},
      {"chat_template", chatml}}.dump();
}

inline ModelConfig tiny_policy_config() {
  ModelConfig config = tiny_config();
  config.vocab_size = 259;
  config.max_position_embeddings = 512;
  config.eos = {2};
  return config;
}

/// The same tokens in a narrower model.
inline ModelConfig narrow_policy_config() {
  ModelConfig config = tiny_policy_config();
  config.hidden_size = 16;
  config.num_heads = 1;
  config.num_kv_heads = 1;
  config.head_dim = 16;
  return config;
}

/// Writes the policy folder.
inline void write_tiny_policy(const std::filesystem::path& folder, std::uint64_t seed = 1,
                              const ModelConfig& config = tiny_policy_config()) {
  const std::filesystem::path tokenizer = std::filesystem::path(folder).concat(".tokenizer");
  std::filesystem::create_directories(tokenizer);
  write_byte_tokenizer(tokenizer);
  Checkpoint checkpoint;
  checkpoint.config = config;
  checkpoint.weights = random_weights(checkpoint.config, seed);
  checkpoint.tokenizer = load_tokenizer(tokenizer);
  const nlohmann::json stored =
      nlohmann::json::parse(std::ifstream(tokenizer / "tokenizer_config.json"));
  checkpoint.chat_template_jinja = stored.at("chat_template");
  save_checkpoint(checkpoint, folder, at::kFloat);
  std::filesystem::remove_all(tokenizer);
}

/// Prompts with and without reference answers, alternating.
inline void write_tiny_prompts(const std::filesystem::path& file, int count) {
  std::ofstream out(file);
  for (int i = 0; i < count; ++i) {
    nlohmann::json row = {{"id", "p" + std::to_string(i)},
                          {"prompt", "Tell me number " + std::to_string(i) + "."}};
    row["qtype"] = i % 2 == 0 ? "open" : "constrained";
    row["reference"] = i % 2 == 0 ? nlohmann::json(nullptr)
                                  : nlohmann::json("It is number " + std::to_string(i) + ".");
    out << row.dump() << "\n";
  }
}

/// Prompts with answers for the supervised stage.
inline void write_tiny_answers(const std::filesystem::path& file, int count) {
  std::ofstream out(file);
  for (int i = 0; i < count; ++i) {
    out << nlohmann::json{{"prompt", "Say number " + std::to_string(i) + "."},
                          {"completion", "Number " + std::to_string(i) + "."}}
               .dump()
        << "\n";
  }
}

/// Preference rows whose better answer is one and the same text, two rows a prompt.
inline void write_tiny_pairs(const std::filesystem::path& file, int count) {
  std::ofstream out(file);
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    out << nlohmann::json{{"id", "q" + number},
                          {"prompt", "Tell me number " + std::to_string(i / 2) + "."},
                          {"chosen", "yes, yes"},
                          {"rejected", "no, not " + number},
                          {"chosen_score", 2.5},
                          {"rejected_score", 1}}
               .dump()
        << "\n";
  }
}

/// A config for `plumb run` on them alone: nothing is sampled.
inline void write_tiny_pairs_config(const std::filesystem::path& file,
                                    const std::filesystem::path& folder) {
  std::ofstream(file) << "[run]\nname = tiny\ndir = " << (folder / "run").string()
                      << "\nseed = 7\niterations = 2\n"
                      << "[model]\npath = " << (folder / "policy").string() << "\n"
                      << "[data]\npairs = " << (folder / "pairs.jsonl").string()
                      << "\nheldout = 4\n[loss]\nname = genarm\n[genarm]\nbeta = 0.5\n"
                      << "[train]\nlearning_rate = 3e-3\nbatch_size = 4\nsave_steps = 1\n"
                      << "[eval]\nbootstrap = 100\n";
}

/// A config for `plumb run` on them: two iterations of a few seconds in all, without any fetched
/// model.
inline void write_tiny_config(const std::filesystem::path& file,
                              const std::filesystem::path& folder) {
  std::ofstream(file)
      << "[run]\nname = tiny\ndir = " << (folder / "run").string() << "\nseed = 7\niterations = 2\n"
      << "[model]\npath = " << (folder / "policy").string() << "\n"
      << "[data]\nprompts = " << (folder / "prompts.jsonl").string() << "\nheldout = 4\n"
      << "[rollout]\nsamples_per_prompt = 3\nunit_prompts = 2\nmax_new_tokens = 24\n"
      << "[r3]\nbackend = lexical\n[score]\nmodules = r3, length\nprimary = length\nunit = 6\n"
      << "[train]\nlearning_rate = 1e-3\nbatch_size = 2\nsave_steps = 1\n"
      << "[eval]\nsamples = 2\nbootstrap = 100\n";
}

}  // namespace plumb::test
