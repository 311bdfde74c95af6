#pragma once
#include <memory>
#include <mutex>
#include <string>

#include "core/options.hpp"
#include "rewards/remote_dialect.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class HttpClient;
class RewardContext;

struct RemoteOptions {
  std::string url = "";
  std::string dialect = "native";
  std::string module = "";
  std::string chat_template = "chatml";
  std::int64_t batch_size = 64;
  std::int64_t attempts = 8;
  double backoff = 1;
  double timeout = 180;
  std::string key_env = "PLUMB_REMOTE_KEY";
  std::string key_file = "";
  static void describe(auto& self, auto&& field) {
    field("url", self.url,
          "address of the reward server, http://host:port[/path]; without a path the dialect's");
    field("dialect", self.dialect, Choices{{"native", "openrlhf"}},
          "protocol: native (/v1/rewards of `plumb serve`) or openrlhf (/get_reward)");
    field("module", self.module, "native: the server's module that is asked; empty: its first");
    field("chat_template", self.chat_template,
          "openrlhf: chat format of the text that is sent (`plumb list templates`)");
    field("batch_size", self.batch_size, Range{1, 1e6}, "responses of one request");
    field("attempts", self.attempts, Range{1, 1000},
          "times a request is tried before its responses stay without a score");
    field("backoff", self.backoff, Range{0, 3600},
          "seconds before the second attempt; doubled for each further one up to 30, and never "
          "less than the server's Retry-After");
    field("timeout", self.timeout, Range{0.001, 1e6}, "seconds to wait for one reply");
    field("key_env", self.key_env, "environment variable that holds the server's access key");
    field("key_file", self.key_file, "file that holds it, on its first line");
  }
};

/// Scores by another process: `plumb serve`, or any server that speaks OpenRLHF's protocol. value =
/// the server's score. What cannot be had is an error of the responses it concerns: a request that
/// is refused for its contents is halved until the bad response stands alone.
class RemoteReward final : public RewardModule {
 public:
  using Options = RemoteOptions;
  static RewardInfo about();
  /// Asks the server for its modules. Throws UsageError for bad options, a refused key or an
  /// unknown module, DataError if the server cannot be reached.
  static std::unique_ptr<RemoteReward> make(const Options& options, RewardContext& context);

  explicit RemoteReward(const Options& options);
  ~RemoteReward() override;
  RewardInfo info() const override;
  /// Name and version of the server's module; for an OpenRLHF server, which tells neither, its
  /// address.
  std::string content_hash() const override { return content_hash_; }
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  void ask_server();
  void score_batch(std::span<const RewardSample* const> batch, std::span<Score* const> out) const;

  Options options_;
  RemoteDialect dialect_;
  std::string path_, content_hash_, unit_;
  std::vector<std::pair<std::string, std::string>> headers_;
  mutable std::mutex mutex_;
  std::unique_ptr<HttpClient> client_;
  mutable bool is_down_ = false;  // the last request was given up: the next one is tried once
};

}  // namespace plumb
