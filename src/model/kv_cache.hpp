#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace plumb {

/// Memory for the keys and values of many sequences, in blocks of kernels::kCacheTokens tokens that
/// hold all layers and kv heads (layout: kernels/decode_attention.hpp). Freed blocks are used
/// again; memory is returned with the cache.
class KvCache {
 public:
  /// The tokens of one sequence, or of a part of one.
  struct Sequence {
    std::vector<std::byte*> blocks;
    std::int64_t tokens = 0;
  };

  /// @param element_size 2 (bfloat16) or 4 (float32)
  KvCache(std::int64_t layers, std::int64_t kv_heads, std::int64_t head_dim,
          std::int64_t element_size);

  /// Appends places for `tokens` tokens, whose contents are then written.
  void extend(Sequence& sequence, std::int64_t tokens);
  /// Gives the blocks back.
  void clear(Sequence& sequence);

  /// Bytes from the start of a block to a layer's kv head.
  std::int64_t offset(std::int64_t layer, std::int64_t kv_head) const {
    return (layer * kv_heads_ + kv_head) * head_bytes_;
  }

  std::size_t blocks_in_use() const { return blocks_.size() - free_.size(); }

 private:
  struct Free {
    void operator()(std::byte* block) const;
  };

  std::int64_t kv_heads_, head_bytes_, block_bytes_;
  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
  std::vector<std::byte*> free_;
};

}  // namespace plumb
