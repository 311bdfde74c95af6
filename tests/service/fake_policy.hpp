#pragma once
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

  void generate(std::span<const RolloutRequest> requests, const SamplingOptions& sampling,
                std::uint64_t, const Listener& listener) override {
    for (std::size_t r = 0; r < requests.size(); ++r) {
      for (std::int64_t sample = 0; sample < requests[r].samples; ++sample) {
        RolloutResponse response;
        response.request = r;
        response.sample = sample;
        bool goes_on = true;
        for (std::int64_t i = 0; i < sampling.max_new_tokens && goes_on; ++i) {
          response.ids.push_back(static_cast<std::int32_t>('a' + i % 26));
          response.logp_policy.push_back(-1);
          response.logp_sampling.push_back(-1);
          goes_on = listener.token(response);
        }
        listener.done(std::move(response));
      }
    }
  }

 private:
  ByteTokenizer tokenizer_;
  ChatTemplate chat_ = ChatTemplate::named("chatml");
};

}  // namespace plumb::test
