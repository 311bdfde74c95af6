#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.hpp"

namespace plumb {

/// Watches a growing response for texts that end it. Compares bytes, so a text split over tokens,
/// or a character split over tokens, is found when its last byte arrives.
class StopWatch {
 public:
  /// @param tokenizer, stops  must outlive the watch; empty texts never match
  StopWatch(const Tokenizer& tokenizer, const std::vector<std::string>& stops);

  /// @param ids  the response so far; one token longer than at the last call
  /// @return true if its text holds a stop text that the last token completed
  bool completed_by_last(std::span<const std::int32_t> ids);

 private:
  const Tokenizer* tokenizer_;
  const std::vector<std::string>* stops_;
  std::size_t longest_ = 0;
  std::string tail_;  // last bytes of the text so far, at most longest_ - 1
};

}  // namespace plumb
