#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/chat_template.hpp"

namespace plumb {

/// What a reward module may look at. Text is the interface: each module owns its tokenizer and
/// template.
struct RewardSample {
  std::vector<Message> messages;  // the prompt
  std::string response;           // without special tokens
  std::vector<std::int32_t>
      prompt_ids;  // ids of the policy that sampled it; empty for text from elsewhere
  std::vector<std::int32_t> response_ids;
  bool finished = true;                  // the response ended by itself (EOS), it was not cut
  std::optional<std::string> reference;  // reference answer
  std::optional<std::string> kind;       // "open", "constrained": query type
};

struct Score {
  std::optional<double> value;                             // higher is better; empty on failure
  std::optional<double> raw;                               // before scaling or clipping
  std::vector<std::pair<std::string, double>> components;  // every factor by name
  std::vector<std::pair<std::string, std::string>>
      labels;                    // text facts by name, e.g. the branch taken
  std::vector<float> per_token;  // empty, or one per response token
  std::string error;             // why there is no value
};

struct RewardInfo {
  std::string name;    // registry name = file stem = config section
  std::string unit;    // "nats", "ratio", ...
  std::string source;  // paper
  std::string summary;
};

/// Turns samples into scores. Stateless as seen from outside.
class RewardModule {
 public:
  virtual ~RewardModule() = default;
  virtual RewardInfo info() const = 0;
  /// What besides the options decides the scores, e.g. the hash of a model; stored with every
  /// score.
  virtual std::string content_hash() const { return {}; }
  /// One score a sample, in order. A failure of one sample is its `error`, never a zero.
  virtual std::vector<Score> score(std::span<const RewardSample> samples) const = 0;
};

}  // namespace plumb
