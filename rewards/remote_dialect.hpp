#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "rewards/reward.hpp"
#include "text/chat_template.hpp"

namespace plumb {

/// How requests to a reward server look and what its replies mean.
struct RemoteDialect {
  bool native = true;  // plumb's /v1/rewards, else OpenRLHF's /get_reward
  std::string module;  // native: the module asked for; empty: the server's first
  ChatTemplate chat;   // OpenRLHF: format of the text that is sent

  const char* default_path() const { return native ? "/v1/rewards" : "/get_reward"; }
  /// @param samples  valid UTF-8. Throws DataError if the roles do not fit the chat format.
  std::string request(std::span<const RewardSample> samples) const;
  /// One score for each of the samples that were asked for, with its token rewards if they are
  /// those of the sample's own tokens. Throws DataError saying what is wrong with the reply: not
  /// JSON, no list, another number of scores.
  std::vector<Score> scores(const std::string& reply, std::span<const RewardSample> samples) const;
};

/// What a server says in the body of a refusal, in one short line; empty if nothing is readable.
std::string remote_message(const std::string& body);

/// Name and version of the module that answers, from a reply of /v1/models; the first row if
/// `module` is empty. Throws UsageError if the server has no module of this name, DataError for a
/// reply that is no list of models.
struct RemoteModule {
  std::string name, version, unit;
};
RemoteModule remote_module(const std::string& reply, const std::string& module);

}  // namespace plumb
