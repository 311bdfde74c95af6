#include "model/kv_cache.hpp"

#include <new>

#include "kernels/decode_attention.hpp"

namespace plumb {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr std::int64_t kSlack = 64;  // the kernels may read so far behind a block

}  // namespace

KvCache::KvCache(std::int64_t layers, std::int64_t kv_heads, std::int64_t head_dim,
                 std::int64_t element_size)
    : kv_heads_(kv_heads),
      head_bytes_(kernels::cache_head_bytes(head_dim, element_size)),
      block_bytes_(layers * kv_heads * head_bytes_) {}

void KvCache::Free::operator()(std::byte* block) const { ::operator delete(block, kAlignment); }

void KvCache::extend(Sequence& sequence, std::int64_t tokens) {
  sequence.tokens += tokens;
  while (static_cast<std::int64_t>(sequence.blocks.size()) * kernels::kCacheTokens <
         sequence.tokens) {
    if (free_.empty()) {
      const auto bytes = static_cast<std::size_t>(block_bytes_ + kSlack);
      blocks_.emplace_back(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
      free_.push_back(blocks_.back().get());
    }
    sequence.blocks.push_back(free_.back());
    free_.pop_back();
  }
}

void KvCache::clear(Sequence& sequence) {
  free_.insert(free_.end(), sequence.blocks.begin(), sequence.blocks.end());
  sequence = {};
}

}  // namespace plumb
