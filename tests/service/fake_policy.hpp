#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "service/fake_models.hpp"

/// A policy for tests of the completion routes: no libtorch, known tokens and values.
namespace plumb::test {

/// Continues every prompt with "abcdef..." until the token limit; each token has log-prob -1.
class FakePolicy final : public service::TextModel {
 public:
  std::string name() const override { return "fake-policy"; }
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  const ChatTemplate& chat() const override { return chat_; }
  std::int64_t max_length() const override { return 4096; }

  std::string fingerprint() const override { return "fake"; }
  service::SampleTokens tokens_of(const RewardSample& sample) const override {
    service::SampleTokens tokens{
        chat_.encode(tokenizer_, sample.messages, true),
        sample.response_ids.empty() ? tokenizer_.encode(sample.response) : sample.response_ids};
    if (tokens.response.empty()) throw DataError("the response has no tokens");
    return tokens;
  }
  /// -(id mod 10) - 1, after a prompt that begins with "!" one more below.
  std::vector<std::vector<float>> logprobs(
      std::span<const service::SampleTokens> samples) override {
    std::vector<std::vector<float>> out;
    for (const service::SampleTokens& sample : samples) {
      const bool low = sample.prompt.front() == '!';
      std::vector<float>& values = out.emplace_back();
      for (const std::int32_t id : sample.response)
        values.push_back(-static_cast<float>(id % 10) - (low ? 2.0F : 1.0F));
    }
    return out;
  }

  std::vector<std::vector<service::TokenLogprob>> score(
      std::span<const std::vector<std::int32_t>> sequences, std::int64_t) override {
    std::vector<std::vector<service::TokenLogprob>> rows;
    for (const auto& ids : sequences) {
      std::vector<service::TokenLogprob>& row = rows.emplace_back();
      for (const std::int32_t id : ids)
        row.push_back({id, row.empty() ? std::numeric_limits<double>::quiet_NaN() : -1.0, {}});
    }
    return rows;
  }

  /// The id 256 is no token of the model.
  void check(const RolloutRequest& request) const override {
    if (std::ranges::count(request.prompt_ids, 256) > 0) throw DataError("id 256 is not known");
  }

  /// One token a step and row, all rows together; a temperature of 99 breaks the model.
  void generate(const Feed& feed) override {
    struct Row {
      const RolloutRequest* request;
      RolloutResponse response;
    };
    std::vector<Row> rows;
    for (std::size_t number = 0;;) {
      for (const RolloutRequest* request = feed.next(); request != nullptr; request = feed.next()) {
        for (std::int64_t sample = 0; sample < request->samples; ++sample) {
          Row& row = rows.emplace_back(Row{request, {}});
          row.response.request = number;
          row.response.sample = sample;
        }
        ++number;
      }
      if (rows.empty()) return;
      most_rows = std::max<std::int64_t>(most_rows, static_cast<std::int64_t>(rows.size()));
      if (gate) gate->wait();
      std::vector<Row> done;
      std::erase_if(rows, [&](Row& row) {
        if (row.request->sampling->temperature == 99) throw std::runtime_error("a NaN");
        grow(*row.request, row.response);
        if (feed.token(row.response) && goes_on(row)) return false;
        done.push_back(std::move(row));
        return true;
      });
      for (Row& row : done) feed.done(std::move(row.response));
    }
  }

  std::shared_ptr<Gate> gate;              // before every step, if there is one
  std::atomic<std::int64_t> most_rows{0};  // of one step

 private:
  /// The next letter; the likeliest others at its place are the letters after it.
  static void grow(const RolloutRequest& request, RolloutResponse& response) {
    const auto step = static_cast<std::int32_t>(response.ids.size() % 26);
    response.ids.push_back('a' + step);
    response.logp_policy.push_back(-1);
    response.logp_sampling.push_back(-1);
    std::vector<LikelyToken> top;
    for (std::int32_t k = 0; k < request.top_logprobs; ++k)
      top.emplace_back('a' + (step + k) % 26, -1.0F - static_cast<float>(k));
    if (request.top_logprobs > 0) response.top.push_back(std::move(top));
  }
  template <class Row>
  static bool goes_on(const Row& row) {
    return static_cast<std::int64_t>(row.response.ids.size()) <
           row.request->sampling->max_new_tokens;
  }

  ByteTokenizer tokenizer_;
  ChatTemplate chat_ = ChatTemplate::named("chatml");
};

}  // namespace plumb::test
