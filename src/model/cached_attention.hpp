#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/decode_attention.hpp"
#include "model/kv_cache.hpp"

namespace plumb {

/// A token that is appended to a sequence and attends to all before it.
struct CacheToken {
  const KvCache::Sequence* prefix;  // complete sequence in front of `own`, or null
  const KvCache::Sequence* own;     // holds a place for the token
  std::int64_t place;               // of the token in `own`

  std::int64_t position() const { return (prefix != nullptr ? prefix->tokens : 0) + place; }
};

/// Attention of some tokens over a cache, the same for every layer. Tokens of one sequence are
/// consecutive and ascend.
class CachedAttention {
 public:
  /// All arguments must outlive the object; the sequences must not change meanwhile.
  CachedAttention(const KvCache& cache, const kernels::AttentionShape& shape,
                  std::span<const CacheToken> tokens);

  /// Stores the keys and values of the tokens, then attends. @param qkv [M, fused width] after the
  /// rotary positions
  /// @return [M, query width]
  at::Tensor operator()(std::int64_t layer, const at::Tensor& qkv) const;

 private:
  template <class T>
  void append(std::int64_t layer, const T* qkv) const;
  template <class T>
  void attend(std::int64_t layer, const T* qkv, T* out) const;

  const KvCache& cache_;
  kernels::AttentionShape shape_;
  std::span<const CacheToken> tokens_;
  std::vector<std::int64_t> runs_;  // tokens runs_[i] .. runs_[i+1]-1 share a block
  std::vector<std::int64_t>
      shares_;  // work of thread t: (token, kv head) pairs shares_[t] .. shares_[t+1]-1
};

}  // namespace plumb
