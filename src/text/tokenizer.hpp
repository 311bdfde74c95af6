#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plumb {

/// Half-open byte range of a text in which special-token text is ordinary text (what a user or a
/// model wrote).
struct ProtectedSpan {
  std::size_t begin, end;
};

/// Text to token ids and back. Const use is thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of `text`. Adds no BOS, EOS, [CLS] or [SEP], and never makes a special id of text, but for
  /// the unknown token where the model has one. Malformed UTF-8 is read as U+FFFD. Throws DataError
  /// for a text above 1 GiB.
  std::vector<std::int32_t> encode(std::string_view text) const {
    return encode_template(text, {{0, text.size()}});
  }
  /// The same for a rendered chat: the text of special tokens becomes their id outside of the
  /// protected spans (sorted, disjoint byte ranges). Text between two specials is encoded as one
  /// piece, across span borders, as the reference libraries do.
  virtual std::vector<std::int32_t> encode_template(
      std::string_view text, std::vector<ProtectedSpan> protected_spans) const = 0;

  /// Bytes that the ids stand for; may end inside a UTF-8 sequence when the ids do. Throws
  /// UsageError for an id outside of the vocabulary.
  virtual std::string decode(std::span<const std::int32_t> ids,
                             bool skip_special = false) const = 0;
  /// The vocabulary's own string of one id, e.g. "Ġhello". Throws UsageError for an id outside of
  /// the vocabulary.
  virtual std::string piece(std::int32_t id) const = 0;
  virtual std::optional<std::int32_t> find(std::string_view piece) const = 0;

  /// Ids below this number exist.
  virtual std::int32_t vocab_size() const = 0;
  virtual bool is_special(std::int32_t id) const = 0;

  /// Ids that belong around a whole sequence; absent where the model has none.
  virtual std::optional<std::int32_t> bos() const = 0;
  virtual std::optional<std::int32_t> eos() const = 0;
  /// True if a plain (not chat) text starts with BOS.
  virtual bool adds_bos() const = 0;

  /// Writes tokenizer files into a Hugging Face folder so that `transformers` and load_tokenizer
  /// read the same tokenizer. `chat_template` is the Jinja text to store, may be empty.
  virtual void save(const std::filesystem::path& folder,
                    const std::string& chat_template) const = 0;
};

/// Vocabulary as it stands in a GGUF file's metadata (`tokenizer.ggml.*`).
struct GgufVocabulary {
  std::string model;  // "gpt2", "llama", "bert"
  std::string pre;    // "smollm", "qwen2", "llama-bpe", "gpt-2", ...
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<std::int32_t>
      token_types;                  // 1 normal 2 unknown 3 control 4 user-defined 5 unused 6 byte
  std::vector<std::string> merges;  // "a b"
  std::optional<std::int32_t> bos, eos, unknown, pad;
  bool add_bos = false;
  bool add_space_prefix = true;
};

/// Tokenizer of a Hugging Face folder (tokenizer.json, or tokenizer.model, or vocab.txt).
/// Throws DataError naming the file and what is not supported in it.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);
std::unique_ptr<Tokenizer> make_tokenizer(const GgufVocabulary& vocabulary);

/// WordPiece: [CLS] text [SEP], cut to max_tokens from the right (keep_end: from the left, keeping
/// [CLS] and [SEP]).
std::vector<std::int32_t> encode_for_encoder(const Tokenizer& tokenizer, std::string_view text,
                                             std::size_t max_tokens, bool keep_end = false);

}  // namespace plumb
