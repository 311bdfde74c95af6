#include "rollout/stop.hpp"

#include <algorithm>

namespace plumb {
namespace {

/// Tokens decoded again in front of a new one: what a token adds can depend on its neighbours
/// (leading spaces, byte pieces).
constexpr std::size_t kContext = 8;

}  // namespace

StopWatch::StopWatch(const Tokenizer& tokenizer, const std::vector<std::string>& stops)
    : tokenizer_(&tokenizer), stops_(&stops) {
  for (const std::string& stop : stops) longest_ = std::max(longest_, stop.size());
}

bool StopWatch::completed_by_last(std::span<const std::int32_t> ids) {
  if (longest_ == 0 || ids.empty()) return false;
  const std::size_t context = std::min(kContext, ids.size() - 1);
  const std::string before = tokenizer_->decode(ids.subspan(ids.size() - 1 - context, context));
  const std::string after = tokenizer_->decode(ids.last(context + 1));
  const auto common = std::mismatch(before.begin(), before.end(), after.begin(), after.end());
  const std::size_t old_size = tail_.size();
  tail_.append(common.second, after.end());
  const bool hit = std::any_of(stops_->begin(), stops_->end(), [&](const std::string& stop) {
    if (stop.empty()) return false;
    const std::size_t from = old_size < stop.size() ? 0 : old_size - stop.size() + 1;
    return tail_.find(stop, from) != std::string::npos;
  });
  if (tail_.size() >= longest_) tail_.erase(0, tail_.size() - longest_ + 1);
  return hit;
}

}  // namespace plumb
