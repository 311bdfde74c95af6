#include "rewards/query_kind_source.hpp"

#include "core/error.hpp"
#include "rewards/context.hpp"
#include "rewards/token_logprobs.hpp"
#include "support/files.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

RewardSample query(const std::string& text, std::optional<std::string> kind = {},
                   std::optional<std::string> reference = {}) {
  RewardSample sample;
  sample.messages = {{"user", text}};
  sample.kind = std::move(kind);
  sample.reference = std::move(reference);
  return sample;
}

std::string decided(const std::vector<std::string>& sources, const RewardSample& sample) {
  QueryKindOptions options;
  options.source = sources;
  const KindDecision decision = QueryKinds(options, nullptr).decide(std::vector{sample}).front();
  return decision.source + "/" + (decision.kind ? query_kind_name(*decision.kind) : "none");
}

/// Options for a model that answers in bytes.
KindVoteOptions short_vote() {
  KindVoteOptions options;
  options.instruction = "Which?";
  options.words = {"a", "bc"};
  return options;
}

}  // namespace

TEST_CASE("query types come from the first source that knows", "[rewards][r3][unit]") {
  CHECK(decided({"column", "rule"}, query("q", "open", "Rome")) == "given/open");
  CHECK(decided({"rule", "column"}, query("q", "open", "Rome")) == "rule/constrained");
  CHECK(decided({"column", "open"}, query("q", "  ", "Rome")) == "fixed/open");
  CHECK(decided({"constrained"}, query("q", "open")) == "fixed/constrained");
  CHECK(decided({"column"}, query("q")) == "column/none");
  CHECK(decided({"column", "rule"}, query("q", "maths")) == "given/none");
}

TEST_CASE("a query type that nobody knows is an error that says what to do",
          "[rewards][r3][unit]") {
  QueryKindOptions options;
  options.source = {"column"};
  const auto decision = QueryKinds(options, nullptr).decide(std::vector{query("q")}).front();
  CHECK(decision.error.find("qtype_source = column") != std::string::npos);
}

TEST_CASE("sources of the query type are checked", "[rewards][r3][unit]") {
  RewardContext context;
  QueryKindOptions options;
  options.source = {"lm"};
  CHECK_THROWS_WITH(QueryKinds::make(options, "r3", context),
                    Catch::Matchers::Contains("r3.qtype_model"));
  options.source.clear();
  CHECK_THROWS_AS(QueryKinds::make(options, "r3", context), UsageError);
}

TEST_CASE("a vote compares mean log-probs and takes off the content-free answer",
          "[rewards][r3][unit]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  const auto model = load_language_model(dir / "policy", kernels::Precision::kFloat32);
  KindVoteOptions options = short_vote();
  options.calibrate = false;
  const std::vector<std::string> queries{"red", std::string(700, 'x'), "blue", "N/A"};
  const auto raw = KindVote(model, options).log_odds(queries);
  REQUIRE(raw.size() == 4);
  REQUIRE(raw[0]);
  CHECK_FALSE(raw[1]);  // 700 bytes are more tokens than the context of 512
  REQUIRE(raw[2]);
  CHECK(*raw[0] != *raw[2]);
  options.calibrate = true;
  const auto calibrated = KindVote(model, options).log_odds(queries);
  CHECK(*calibrated[0] == *raw[0] - *raw[3]);
  CHECK(*calibrated[3] == 0);
  std::swap(options.words[0], options.words[1]);
  CHECK(*KindVote(model, options).log_odds(queries)[0] == -*calibrated[0]);
  // One query alone gives the same bits.
  CHECK(*KindVote(model, short_vote()).log_odds(std::vector<std::string>{"blue"})[0] ==
        *calibrated[2]);
  options.words = {"a", "a"};
  CHECK_THROWS_AS(KindVote(model, options), UsageError);
}

TEST_CASE("a vote that cannot be taken passes to the next source", "[rewards][r3][unit]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  RewardContext context;
  QueryKindOptions options;
  options.source = {"column", "lm", "rule"};
  options.model = (dir / "policy").string();
  options.vote = short_vote();
  const QueryKinds kinds = QueryKinds::make(options, "r3", context);
  CHECK(kinds.content_hash().size() == 64);
  const auto decisions = kinds.decide(std::vector{
      query("red"), query(std::string(700, 'x'), {}, "Rome"), query("red", "open"), query("red")});
  CHECK(decisions[0].source == "lm");
  CHECK(decisions[0].log_odds);
  CHECK(decisions[0].kind ==
        (*decisions[0].log_odds > 0 ? QueryKind::kConstrained : QueryKind::kOpen));
  CHECK(decisions[1].source == "rule");
  CHECK(decisions[1].kind == QueryKind::kConstrained);
  CHECK(decisions[2].source == "given");
  CHECK_FALSE(decisions[2].log_odds);  // the column answered before the model was asked
  CHECK(decisions[3].log_odds == decisions[0].log_odds);
}

// The default instruction, on queries of the two kinds that no file of the repository holds.
TEST_CASE("a small model tells facts from free writing", "[rewards][r3][model]") {
  const KindVote vote(
      load_language_model(test::model_path("smollm2-135m-instruct"), kernels::Precision::kFloat32),
      {});
  const std::vector<std::string> queries{"What is the capital of Portugal?",
                                         "Write a story about a lonely lighthouse keeper."};
  const auto odds = vote.log_odds(queries);
  CHECK(*odds[0] > 0);
  CHECK(*odds[1] < 0);
}

TEST_CASE("a vote takes the mean over the tokens of each word", "[rewards][r3][unit]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  const auto model = load_language_model(dir / "policy", kernels::Precision::kFloat32);
  KindVoteOptions options = short_vote();
  options.calibrate = false;
  const auto chat = chat_of(*model, options.chat);
  const auto prompt =
      chat.encode(*model->tokenizer, std::vector<Message>{{"user", "red\n\nWhich?"}}, true);
  const std::vector<Continuation> words{{prompt, model->tokenizer->encode("a")},
                                        {prompt, model->tokenizer->encode("bc")}};
  const auto logps =
      token_logprobs(*model->decoder, words, model->decoder->config().vocab_size, 4096);
  REQUIRE(logps[0].size() == 1);
  REQUIRE(logps[1].size() == 2);
  const double mean = (double{logps[1][0]} + double{logps[1][1]}) / 2;
  CHECK(*KindVote(model, options).log_odds(std::vector<std::string>{"red"})[0] ==
        Approx(mean - logps[0][0]));
}
