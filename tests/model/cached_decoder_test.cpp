#include "model/cached_decoder.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/log_softmax.h>

#include "core/error.hpp"
#include "model/kv_cache.hpp"
#include "support/tiny_model.hpp"

#include "support/catch.hpp"

using namespace plumb;
using kernels::Precision;
using Ids = std::vector<std::int32_t>;

namespace {

/// Log-probs of every next token after each of the last `rows` tokens, by the full forward.
at::Tensor full_logprobs(const Decoder& model, const Ids& ids, std::int64_t rows) {
  RaggedBuilder builder;
  builder.add(ids);
  const at::Tensor hidden = model.hidden(builder.batch());
  return at::log_softmax(model.logits(hidden.narrow(0, hidden.size(0) - rows, rows)), 1);
}

/// The same, one token at a time behind a prompt of `prompt_tokens`.
at::Tensor cached_logprobs(CachedDecoder& cached, const Ids& ids, std::size_t prompt_tokens,
                           std::vector<at::Tensor>* raw = nullptr) {
  at::Tensor logits;
  const std::vector<Ids> prompts{
      Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt_tokens))};
  const auto prefix = cached.prefill(prompts, logits).front();
  const auto row = cached.open_row(prefix);
  cached.release(prefix);
  std::vector<at::Tensor> all{logits};
  for (std::size_t i = prompt_tokens; i < ids.size(); ++i)
    all.push_back(cached.step({&row, 1}, {&ids[i], 1}).clone());
  cached.close_row(row);
  if (raw != nullptr) *raw = all;
  return at::log_softmax(at::cat(all), 1);
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return at::abs(a - b).max().item<double>();
}

std::vector<ModelConfig> variants() {
  std::vector<ModelConfig> all{test::tiny_config()};
  all.push_back(test::tiny_config());
  all.back().qkv_bias = all.back().output_bias = all.back().qk_norm = true;
  all.push_back(test::tiny_config());
  all.back().num_heads = 7;  // groups of 7: more heads than one pass of the kernel takes
  all.back().num_kv_heads = 1;
  all.back().head_dim = 24;  // not a multiple of the vector length
  all.back().tie_word_embeddings = false;
  return all;
}

}  // namespace

TEST_CASE("cached decoding equals the full forward", "[unit][cached_decoder]") {
  for (const ModelConfig& config : variants()) {
    for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
      const Decoder model(config, test::random_weights(config), precision, false);
      CachedDecoder cached(model);
      const Ids ids = test::random_ids(config, 90, 3);
      // Both run the same roundings in the same order in bfloat16: equal but for the last bits of
      // the log-softmax, far below the 2e-2 that bfloat16 alone would allow.
      const double bound = model.precision() == Precision::kFloat32 ? 1e-4 : 1e-5;
      for (const std::size_t prompt : {1U, 31U, 32U, 45U, 89U}) {
        const auto rows = static_cast<std::int64_t>(ids.size() - prompt + 1);
        CHECK(worst(cached_logprobs(cached, ids, prompt), full_logprobs(model, ids, rows)) < bound);
      }
    }
  }
}

TEST_CASE("a row's bits depend on nothing but its tokens", "[unit][cached_decoder]") {
  const ModelConfig config = test::tiny_config();
  for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
    const Decoder model(config, test::random_weights(config), precision, false);
    CachedDecoder cached(model);
    std::vector<Ids> prompts, continuations;
    std::vector<std::vector<at::Tensor>> alone(9);
    for (std::size_t i = 0; i < 9; ++i) {
      prompts.push_back(test::random_ids(config, 5 + 17 * (i % 3), i / 3));
      continuations.push_back(test::random_ids(config, 40, 100 + i));
      Ids ids = prompts[i];
      ids.insert(ids.end(), continuations[i].begin(), continuations[i].end());
      cached_logprobs(cached, ids, prompts[i].size(), &alone[i]);
    }
    // Together, with prompts run in one call, two rows a prompt, the batch growing and its order
    // changing.
    at::Tensor logits;
    const auto prefixes = cached.prefill(prompts, logits);
    std::vector<CachedDecoder::RowId> rows;
    for (std::size_t i = 0; i < 9; ++i) {
      CHECK(at::equal(logits[static_cast<std::int64_t>(i)], alone[i][0][0]));
      rows.push_back(cached.open_row(prefixes[i]));
    }
    const auto twin = cached.open_row(prefixes[4]);
    for (const auto prefix : prefixes) cached.release(prefix);
    for (std::size_t t = 0; t < 40; ++t) {
      std::vector<CachedDecoder::RowId> batch;
      Ids tokens;
      std::vector<std::size_t> members;
      for (std::size_t j = 0; j < 9; ++j) members.push_back((j + t) % 9);
      for (const std::size_t i : members) {
        batch.push_back(rows[i]);
        tokens.push_back(continuations[i][t]);
      }
      batch.push_back(twin);
      tokens.push_back(continuations[4][t]);
      const at::Tensor together = cached.step(batch, tokens);
      for (std::size_t j = 0; j < 9; ++j)
        CHECK(at::equal(together[static_cast<std::int64_t>(j)], alone[members[j]][t + 1][0]));
      CHECK(at::equal(together[9], alone[4][t + 1][0]));
    }
  }
}

TEST_CASE("long prompts run in pieces", "[unit][cached_decoder]") {
  ModelConfig config = test::tiny_config();
  config.max_position_embeddings = 1400;
  const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
  CachedDecoder cached(model);
  const std::vector<Ids> prompts{test::random_ids(config, 300, 1),
                                 test::random_ids(config, 1300, 2),
                                 {7},
                                 test::random_ids(config, 211, 3)};
  at::Tensor logits;
  cached.prefill(prompts, logits);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const at::Tensor expected = full_logprobs(model, prompts[i], 1)[0];
    CHECK(worst(at::log_softmax(logits[static_cast<std::int64_t>(i)], 0), expected) < 1e-4);
  }
}

TEST_CASE("contexts that are too long and unknown ids are refused, and the rows stay usable",
          "[unit][cached_decoder]") {
  ModelConfig config = test::tiny_config();
  config.max_position_embeddings = 8;
  const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
  CachedDecoder cached(model);
  at::Tensor logits;
  CHECK_THROWS_AS(cached.prefill(std::vector<Ids>{test::random_ids(config, 9, 1)}, logits),
                  DataError);
  CHECK_THROWS_AS(cached.prefill(std::vector<Ids>{{1, 2}, {300}}, logits), DataError);
  const auto prefix =
      cached.prefill(std::vector<Ids>{test::random_ids(config, 7, 1)}, logits).front();
  const auto row = cached.open_row(prefix);
  const std::int32_t token = 5, unknown = 300;
  CHECK_THROWS_AS(cached.step({&row, 1}, {&unknown, 1}), InternalError);
  CHECK(cached.step({&row, 1}, {&token, 1}).size(1) == config.vocab_size);
  CHECK_THROWS_AS(cached.step({&row, 1}, {&token, 1}), DataError);
  cached.release(prefix);
  CHECK_THROWS_AS(cached.release(prefix), InternalError);
  CHECK_THROWS_AS(cached.open_row(prefix), InternalError);
  cached.close_row(row);
  CHECK_THROWS_AS(cached.close_row(row), InternalError);
}

TEST_CASE("cache blocks are used again", "[unit][kv_cache]") {
  KvCache cache(2, 3, 16, 2);
  CHECK(cache.offset(1, 2) == 5 * 2 * 32 * 16 * 2);
  KvCache::Sequence a, b;
  cache.extend(a, 32);
  CHECK(a.blocks.size() == 1);
  cache.extend(a, 1);
  cache.extend(b, 33);
  CHECK(a.blocks.size() == 2);
  CHECK(cache.blocks_in_use() == 4);
  std::byte* const reused = a.blocks[0];
  cache.clear(a);
  CHECK(a.tokens == 0);
  CHECK(cache.blocks_in_use() == 2);
  cache.extend(b, 64);
  CHECK(cache.blocks_in_use() == 4);
  CHECK((b.blocks[2] == reused || b.blocks[3] == reused));
}
