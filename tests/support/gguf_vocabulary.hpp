#pragma once
#include <bit>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "files.hpp"
#include "text/tokenizer.hpp"

/// The vocabulary of a GGUF file, for tests of the text folder, which may not include the model
/// folder's reader.
namespace plumb::test {

class GgufMetadata {
 public:
  explicit GgufMetadata(const std::filesystem::path& file) : in_(file, std::ios::binary) {
    in_.exceptions(std::ios::failbit | std::ios::badbit);
    if (number<std::uint32_t>() != 0x46554747)
      throw std::runtime_error("not a GGUF file: " + file.string());
    number<std::uint32_t>();  // version
    number<std::uint64_t>();  // tensors
    for (auto left = number<std::uint64_t>(); left > 0; --left) {
      const std::string key = text();
      read_value(key, number<std::uint32_t>());
    }
  }

  GgufVocabulary vocabulary;
  std::string chat_template;

 private:
  template <class T>
  T number() {
    T value;
    in_.read(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }

  std::string text() {
    std::string value(number<std::uint64_t>(), '\0');
    in_.read(value.data(), static_cast<std::streamsize>(value.size()));
    return value;
  }

  void read_value(const std::string& key, std::uint32_t type) {
    constexpr std::uint32_t kText = 8, kArray = 9;
    if (type == kText) return keep(key, text());
    if (type != kArray) return keep(key, integer(type));
    const auto element = number<std::uint32_t>();
    for (auto left = number<std::uint64_t>(); left > 0; --left) {
      if (element == kText) {
        append(key, text());
      } else {
        append(key, static_cast<std::uint32_t>(integer(element)));
      }
    }
  }

  /// The low bytes of a number of any type; floats come as their bits.
  std::int64_t integer(std::uint32_t type) {
    constexpr int kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    std::int64_t value = 0;
    in_.read(reinterpret_cast<char*>(&value), kBytes[type]);
    return value;
  }

  void append(const std::string& key, std::uint32_t bits) {
    if (key == "tokenizer.ggml.token_type") {
      vocabulary.token_types.push_back(static_cast<std::int32_t>(bits));
    }
    if (key == "tokenizer.ggml.scores") vocabulary.scores.push_back(std::bit_cast<float>(bits));
  }

  void append(const std::string& key, std::string value) {
    if (key == "tokenizer.ggml.tokens")
      vocabulary.tokens.push_back(std::move(value));
    else if (key == "tokenizer.ggml.merges")
      vocabulary.merges.push_back(std::move(value));
  }

  void keep(const std::string& key, const std::string& value) {
    if (key == "tokenizer.ggml.model") vocabulary.model = value;
    if (key == "tokenizer.ggml.pre") vocabulary.pre = value;
    if (key == "tokenizer.chat_template") chat_template = value;
  }

  void keep(const std::string& key, std::int64_t value) {
    const auto id = static_cast<std::int32_t>(value);
    if (key == "tokenizer.ggml.bos_token_id") vocabulary.bos = id;
    if (key == "tokenizer.ggml.eos_token_id") vocabulary.eos = id;
    if (key == "tokenizer.ggml.unknown_token_id") vocabulary.unknown = id;
    if (key == "tokenizer.ggml.padding_token_id") vocabulary.pad = id;
    if (key == "tokenizer.ggml.add_bos_token") vocabulary.add_bos = value != 0;
    if (key == "tokenizer.ggml.add_space_prefix") vocabulary.add_space_prefix = value != 0;
  }

  std::ifstream in_;
};

inline GgufMetadata smollm2_metadata() {
  return GgufMetadata(model_path("smollm2-135m-instruct") / "SmolLM2-135M-Instruct.Q4_1.gguf");
}

}  // namespace plumb::test
