#include "rewards/remote.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "net/http_client.hpp"

namespace plumb {
namespace {

constexpr double kLongestPause = 30, kLongestRetryAfter = 600;
constexpr std::size_t kMaxKeyFile = 1 << 16;

std::string read_key(const RemoteOptions& options) {
  std::string key;
  if (!options.key_file.empty()) {
    const std::string text = read_file(options.key_file, kMaxKeyFile);
    key = trim(std::string_view(text).substr(0, text.find('\n')));
    if (key.empty()) throw UsageError(cat("remote.key_file = ", options.key_file, ": is empty"));
  } else if (const char* value =
                 options.key_env.empty() ? nullptr : std::getenv(options.key_env.c_str())) {
    key = trim(value);
  }
  if (std::ranges::any_of(key, [](char c) { return c < ' ' || c == '\x7f'; }))
    throw UsageError("the key of the reward server holds a control character");
  return key;
}

/// Whether the same request may succeed later.
bool is_passing(int status) {
  return status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501);
}

/// Whether the contents are at fault, so that a part of the request may be taken.
bool is_about_contents(int status) { return status == 400 || status == 413 || status == 422; }

std::string refusal(int status, const std::string& body) {
  const std::string message = remote_message(body);
  return cat("the server answered ", status, message.empty() ? "" : ": ", message);
}

double seconds_of(const std::string& retry_after) {
  if (retry_after.empty() || retry_after.size() > 6 ||
      !std::ranges::all_of(retry_after, [](char c) { return c >= '0' && c <= '9'; }))
    return 0;
  return std::min(kLongestRetryAfter, std::stod(retry_after));
}

/// Sends until there is a reply that a repetition would not change. Throws NetworkError, or returns
/// the last refusal, after the last attempt.
HttpReply persistent(std::int64_t attempts, double backoff,
                     const std::function<HttpReply()>& send) {
  double pause = backoff;
  for (std::int64_t attempt = 1;; ++attempt) {
    double wanted = 0;
    std::string reason;
    try {
      HttpReply reply = send();
      if (!is_passing(reply.status) || attempt >= attempts) return reply;
      wanted = seconds_of(reply.retry_after);
      reason = refusal(reply.status, reply.body);
    } catch (const NetworkError& error) {
      if (attempt >= attempts) throw;
      reason = error.what();
    }
    const double wait = std::max(std::min(pause, kLongestPause), wanted);
    log::warn(cat("reward server: ", reason, "; attempt ", attempt, " of ", attempts,
                  ", the next one in ", wait, " s"));
    std::this_thread::sleep_for(std::chrono::duration<double>(wait));
    pause *= 2;
  }
}

}  // namespace

RewardInfo RemoteReward::about() {
  return {"remote", "the server's", "", "scores of another process over HTTP, see `plumb serve`"};
}

std::unique_ptr<RemoteReward> RemoteReward::make(const Options& options, RewardContext&) {
  return std::make_unique<RemoteReward>(options);
}

RemoteReward::RemoteReward(const Options& options)
    : options_(options),
      dialect_{options.dialect == "native", options.module,
               ChatTemplate::named(options.chat_template)} {
  if (options.url.empty())
    throw UsageError("remote.url is not set: give the address of a reward server");
  const HttpUrl url = parse_http_url(options.url, cat("remote.url = ", options.url));
  path_ = url.target.size() > 1 ? url.target : dialect_.default_path();
  if (const std::string key = read_key(options); !key.empty())
    headers_.emplace_back("Authorization", "Bearer " + key);
  client_ = std::make_unique<HttpClient>(url, HttpClient::Options{options.timeout});
  if (dialect_.native) {
    ask_server();
  } else {
    content_hash_ = "openrlhf@" + url.authority() + path_;
  }
}

RemoteReward::~RemoteReward() = default;

void RemoteReward::ask_server() {
  const HttpReply reply = persistent(options_.attempts, options_.backoff,
                                     [&] { return client_->get("/v1/models", headers_); });
  const std::string where = cat("remote.url = ", options_.url, ": ");
  if (reply.status == 401 || reply.status == 403)
    throw UsageError(cat(where, refusal(reply.status, reply.body),
                         "; set remote.key_file or the environment variable ", options_.key_env));
  if (reply.status != 200)
    throw DataError(cat(where, refusal(reply.status, reply.body),
                        " on /v1/models; for another kind of server set remote.dialect"));
  const RemoteModule module = remote_module(reply.body, options_.module);
  content_hash_ = module.name + "@" + module.version;
  unit_ = module.unit;
}

RewardInfo RemoteReward::info() const {
  RewardInfo info = about();
  if (!unit_.empty()) info.unit = unit_;
  return info;
}

std::vector<Score> RemoteReward::score(std::span<const RewardSample> samples) const {
  const std::scoped_lock lock(mutex_);
  std::vector<Score> scores(samples.size());
  std::vector<const RewardSample*> batch;
  std::vector<Score*> out;
  const auto send = [&] {
    if (!batch.empty()) score_batch(batch, out);
    batch.clear();
    out.clear();
  };
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!is_valid_utf8(samples[i].response)) {
      scores[i].error = "response is not valid UTF-8";
      continue;
    }
    batch.push_back(&samples[i]);
    out.push_back(&scores[i]);
    if (static_cast<std::int64_t>(batch.size()) == options_.batch_size) send();
  }
  send();
  return scores;
}

void RemoteReward::score_batch(std::span<const RewardSample* const> batch,
                               std::span<Score* const> out) const {
  const auto fail = [&](const std::string& error) {
    for (Score* score : out) score->error = error;
  };
  std::vector<RewardSample> samples;
  for (const RewardSample* sample : batch) samples.push_back(*sample);
  try {
    const std::string body = dialect_.request(samples);
    std::optional<HttpReply> reply;
    try {
      reply = persistent(is_down_ ? 1 : options_.attempts, options_.backoff,
                         [&] { return client_->post(path_, body, headers_); });
    } catch (const NetworkError& error) {
      is_down_ = true;
      return fail(error.what());
    }
    is_down_ = is_passing(reply->status);
    if (reply->status == 200) {
      std::vector<Score> scores = dialect_.scores(reply->body, samples);
      for (std::size_t i = 0; i < out.size(); ++i) *out[i] = std::move(scores[i]);
    } else if (is_about_contents(reply->status) && batch.size() > 1) {
      const std::size_t half = batch.size() / 2;
      score_batch(batch.first(half), out.first(half));
      score_batch(batch.subspan(half), out.subspan(half));
    } else {
      fail(refusal(reply->status, reply->body));
    }
  } catch (const DataError& error) {
    fail(error.what());
  }
}

}  // namespace plumb
