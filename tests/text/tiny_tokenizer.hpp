#pragma once
#include <fstream>

#include "support/files.hpp"
#include "text/tokenizer.hpp"

/// Small tokenizers written by hand, in the files of a Hugging Face folder.
namespace plumb::test {

using Ids = std::vector<std::int32_t>;

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

/// Loads a tokenizer.json (and a tokenizer_config.json) that stand alone in a folder.
inline std::unique_ptr<Tokenizer> load(const nlohmann::json& tokenizer,
                                       const nlohmann::json& config = nlohmann::json::object()) {
  const TempDir folder;
  write_text(folder / "tokenizer.json", tokenizer.dump());
  write_text(folder / "tokenizer_config.json", config.dump());
  return load_tokenizer(folder.path());
}

inline nlohmann::json added(std::int32_t id, const std::string& content, bool special) {
  return {{"id", id},           {"content", content},  {"lstrip", false},     {"rstrip", false},
          {"special", special}, {"normalized", false}, {"single_word", false}};
}

/// Characters a, b, c, "▁" and "ab", "abc", "bc", with an unknown token and one special token:
/// <unk> 0, <s> 1, a 2, b 3, c 4, ▁ 5, bc 6, ab 7, abc 8; merges bc before ab before ab+c.
inline nlohmann::json tiny_json() {
  return {{"added_tokens", {added(0, "<unk>", true), added(1, "<s>", true)}},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"decoder", {{"type", "Fuse"}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"vocab",
             {{"<unk>", 0},
              {"<s>", 1},
              {"a", 2},
              {"b", 3},
              {"c", 4},
              {"▁", 5},
              {"bc", 6},
              {"ab", 7},
              {"abc", 8}}},
            {"merges", {"b c", "a b", "ab c"}}}}};
}

}  // namespace plumb::test
