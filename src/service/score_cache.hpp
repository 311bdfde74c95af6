#pragma once
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/hash.hpp"
#include "rewards/reward.hpp"

namespace plumb::service {

/// Scores of (module, text) pairs, the least recently used dropped first. Safe to use from several
/// threads.
class ScoreCache {
 public:
  using Key = Sha256::Digest;
  explicit ScoreCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  bool is_on() const { return max_bytes_ > 0; }
  /// nullptr if it is not there.
  std::shared_ptr<const Score> find(const Key& key);
  void add(const Key& key, std::shared_ptr<const Score> score);
  std::size_t bytes() const;

 private:
  struct Entry {
    Key key;
    std::shared_ptr<const Score> score;
    std::size_t bytes;
  };
  mutable std::mutex mutex_;
  std::size_t max_bytes_, bytes_ = 0;
  std::list<Entry> entries_;  // newest first
  std::map<Key, std::list<Entry>::iterator> index_;
};

/// Address of a score: the module's fingerprint and everything a module may look at.
ScoreCache::Key cache_key(const std::string& fingerprint, const RewardSample& sample);

}  // namespace plumb::service
