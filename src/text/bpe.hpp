#pragma once
#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "text/bpe_merges.hpp"
#include "text/tokenizer_model.hpp"

namespace plumb {

struct BpeOptions {
  bool byte_level = false;     // symbols are bytes, else characters
  bool byte_fallback = false;  // an unknown character becomes tokens "<0xNN>"
  bool fuse_unknown = false;   // neighbouring unknown characters become one unknown token
  bool ignore_merges = false;  // a piece that is a token needs no merges
  std::optional<std::int32_t> unknown{};  // absent: symbols without a token are left out
};

/// Byte-pair encoding as Hugging Face's `BPE` model does it. Const use is thread-safe.
class Bpe final : public PieceModel {
 public:
  /// @param texts [V] what each id stands for: bytes if byte_level, else the vocabulary's string;
  ///        empty for ids that may not come out of plain text (special tokens, added tokens)
  Bpe(const BpeOptions& options, std::vector<std::string> texts,
      const std::vector<BpeMerge>& merges);
  Bpe(const Bpe&) = delete;
  Bpe& operator=(const Bpe&) = delete;

  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const override;

 private:
  void append_symbols(std::string_view piece, std::vector<std::int32_t>& ids) const;
  void append_merged(std::string_view piece, std::vector<std::int32_t>& ids) const;
  bool append_bytes(std::string_view character, std::vector<std::int32_t>& ids) const;
  std::int32_t symbol(std::string_view text) const;

  BpeOptions options_;
  BpeMerges merges_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string_view, std::int32_t> ids_;    // of texts_
  std::unordered_map<std::string_view, std::int32_t> whole_;  // pieces known to become one token
  std::array<std::int32_t, 256> byte_ids_;                    // -1 where there is none
  std::size_t longest_ = 0;                                   // bytes of the longest text in whole_
};

}  // namespace plumb
