#include "service/score_cache.hpp"

namespace plumb::service {
namespace {

constexpr std::size_t kEntryBytes = 256;  // key, list and map nodes, the Score itself

std::size_t bytes_of(const Score& score) {
  std::size_t bytes = kEntryBytes + score.per_token.size() * sizeof(float);
  for (const auto& [name, value] : score.components) bytes += 64 + name.size();
  for (const auto& [name, text] : score.labels) bytes += 64 + name.size() + text.size();
  return bytes;
}

/// Feeds fields with their lengths, so that no two samples share a byte stream.
class FieldHash {
 public:
  void add(std::string_view text) {
    const std::uint64_t size = text.size();
    hash_.update(&size, sizeof size).update(text);
  }
  void add(const std::optional<std::string>& text) {
    add(text ? std::string_view("1") : std::string_view("0"));
    if (text) add(std::string_view(*text));
  }
  void add(const std::vector<std::int32_t>& ids) {
    add(std::string_view(reinterpret_cast<const char*>(ids.data()),
                         ids.size() * sizeof(std::int32_t)));
  }
  Sha256::Digest finish() { return hash_.finish(); }

 private:
  Sha256 hash_;
};

}  // namespace

std::shared_ptr<const Score> ScoreCache::find(const Key& key) {
  const std::scoped_lock lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->score;
}

void ScoreCache::add(const Key& key, std::shared_ptr<const Score> score) {
  const std::scoped_lock lock(mutex_);
  if (max_bytes_ == 0 || index_.contains(key)) return;
  const std::size_t bytes = bytes_of(*score);
  entries_.push_front({key, std::move(score), bytes});
  index_.emplace(key, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > max_bytes_) {
    bytes_ -= entries_.back().bytes;
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

std::size_t ScoreCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

ScoreCache::Key cache_key(const std::string& fingerprint, const RewardSample& sample) {
  FieldHash hash;
  hash.add(std::string_view(fingerprint));
  hash.add(std::string_view(std::to_string(sample.messages.size())));
  for (const Message& message : sample.messages) {
    hash.add(std::string_view(message.role));
    hash.add(std::string_view(message.content));
  }
  hash.add(std::string_view(sample.response));
  hash.add(sample.prompt_ids);
  hash.add(sample.response_ids);
  hash.add(std::string_view(sample.finished ? "1" : "0"));
  hash.add(sample.reference);
  hash.add(sample.kind);
  return hash.finish();
}

}  // namespace plumb::service
