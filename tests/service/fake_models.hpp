#pragma once
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/options.hpp"
#include "service/served_models.hpp"

/// Models for tests of the service: no libtorch, known values, failures on demand.
namespace plumb::test {

/// Keeps a module at work until it is opened.
struct Gate {
  std::atomic<bool> closed{true};
  std::atomic<int> waiting{0};  // batches that stand before it
  void wait() {
    ++waiting;
    while (closed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --waiting;
  }
};

struct FakeOptions {
  double ms_per_text = 0;
  double ms_per_batch = 0;
  double load_ms = 0;
  bool policy = false;
  std::shared_ptr<Gate> gate;  // of every batch, if there is one
  static void describe(auto& self, auto&& field) {
    field("ms_per_text", self.ms_per_text, Range{0, 1e6}, "time that a text takes");
    field("ms_per_batch", self.ms_per_batch, Range{0, 1e6}, "time that a batch takes");
    field("load_ms", self.load_ms, Range{0, 1e6}, "time that loading the models takes");
    field("policy", self.policy, "a policy for the completion routes");
  }
};

/// value = bytes of the response - bytes of the prompt / 100. The responses NAN, THROW, FAIL and
/// SHORT misbehave in their way.
class FakeReward final : public RewardModule {
 public:
  FakeReward(std::string name, FakeOptions options, double offset = 0)
      : name_(std::move(name)), options_(options), offset_(offset) {}

  RewardInfo info() const override { return {name_, "bytes", "none", "bytes of the response"}; }

  std::vector<Score> score(std::span<const RewardSample> samples) const override {
    ++batches;
    texts += static_cast<std::int64_t>(samples.size());
    std::vector<Score> scores;
    for (const RewardSample& sample : samples) scores.push_back(score_one(sample));
    const double ms =
        options_.ms_per_batch + options_.ms_per_text * static_cast<double>(samples.size());
    if (ms > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
    if (options_.gate) options_.gate->wait();
    if (!samples.empty() && samples.back().response == "SHORT") scores.pop_back();
    return scores;
  }

  static double value_of(const std::string& prompt, const std::string& response) {
    return static_cast<double>(response.size()) - static_cast<double>(prompt.size()) / 100;
  }

  mutable std::atomic<std::int64_t> batches{0}, texts{0};

 private:
  Score score_one(const RewardSample& sample) const {
    if (sample.response == "THROW") throw std::runtime_error("the module broke");
    Score score;
    if (sample.response == "FAIL") {
      score.error = "no score for this one";
      return score;
    }
    std::string prompt;
    for (const Message& message : sample.messages) prompt += message.content;
    score.value = value_of(prompt, sample.response) + offset_;
    if (sample.response == "NAN") score.value = std::numeric_limits<double>::quiet_NaN();
    score.raw = 2 * *score.value;
    score.components = {{"bytes", static_cast<double>(sample.response.size())}};
    score.labels = {{"branch", sample.reference.value_or("open")}};
    score.per_token.assign(sample.response.size(), 1.0F);
    return score;
  }

  std::string name_;
  FakeOptions options_;
  double offset_;
};

/// Bytes are tokens: id = byte, and 256 is the one special id.
class ByteTokenizer final : public Tokenizer {
 public:
  std::vector<std::int32_t> encode_template(std::string_view text,
                                            std::vector<ProtectedSpan>) const override {
    std::vector<std::int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::string text;
    for (const std::int32_t id : ids) {
      if (id < 256) {
        text += static_cast<char>(id);
      } else if (!skip_special) {
        text += "<end>";
      }
    }
    return text;
  }
  std::string piece(std::int32_t id) const override { return decode(std::span(&id, 1), false); }
  std::optional<std::int32_t> find(std::string_view piece) const override {
    if (piece == "<end>") return 256;
    if (piece.size() == 1) return static_cast<unsigned char>(piece[0]);
    return std::nullopt;
  }
  std::int32_t vocab_size() const override { return 257; }
  bool is_special(std::int32_t id) const override { return id == 256; }
  std::optional<std::int32_t> bos() const override { return std::nullopt; }
  std::optional<std::int32_t> eos() const override { return 256; }
  bool adds_bos() const override { return false; }
  void save(const std::filesystem::path&, const std::string&) const override {}
};

/// Modules "fake" (the first) and "other", whose values are 1000 higher.
inline std::shared_ptr<service::ServedModels> fake_models(const FakeOptions& options,
                                                          bool with_tokenizer = true) {
  auto models = std::make_shared<service::ServedModels>();
  models->modules.push_back({"fake", std::make_shared<FakeReward>("fake", options), "f1"});
  models->modules.push_back({"other", std::make_shared<FakeReward>("other", options, 1000), "f2"});
  if (with_tokenizer) models->tokenizer = std::make_shared<ByteTokenizer>();
  return models;
}

}  // namespace plumb::test
