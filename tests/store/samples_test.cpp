#include "store/samples.hpp"

#include <cmath>

#include "core/hash.hpp"
#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

TEST_CASE("A prompt is stored once for its content and comes back whole", "[unit]") {
  FreshStore store;
  PromptRow row = SmallStore::prompt("one");
  row.split = "heldout";
  row.external_id = "q-17";
  row.kind = "constrained";
  row.reference_answer = "42";
  const auto id = add_prompt(store.db, row);
  const auto found = find_prompt(store.db, id);
  REQUIRE(found.has_value());
  CHECK(found->id == id);
  CHECK(found->dataset == row.dataset);
  CHECK(found->split == "heldout");
  CHECK(found->external_id == "q-17");
  CHECK(found->kind == "constrained");
  CHECK(found->reference_answer == "42");
  CHECK(found->messages == row.messages);
  CHECK(found->text == "one");
  CHECK(found->ids == std::vector<std::int32_t>{1, 2, 3});
  CHECK_FALSE(find_prompt(store.db, 99).has_value());

  PromptRow elsewhere = row;  // where it came from is not part of the content
  elsewhere.dataset = "other.jsonl";
  elsewhere.split = "train";
  CHECK(add_prompt(store.db, elsewhere) == id);
  CHECK(integer(store.db, "SELECT count(*) FROM prompts") == 1);
}

TEST_CASE("The content hash sees every field and its borders", "[unit]") {
  const PromptRow base = SmallStore::prompt("one");
  std::vector<PromptRow> others(7, base);
  others[0].text = "two";
  others[1].kind = "open";
  others[2].kind = "";  // absent and empty differ
  others[3].reference_answer = "open";
  others[4].ids = {1, 2};
  others[5].messages = "[]";
  others[6].messages = base.messages + "-:";
  CHECK(prompt_sha256(base).size() == 32);
  for (std::size_t i = 0; i < others.size(); ++i) {
    CHECK(prompt_sha256(others[i]) != prompt_sha256(base));
    for (std::size_t j = 0; j < i; ++j) CHECK(prompt_sha256(others[i]) != prompt_sha256(others[j]));
  }
}

TEST_CASE("Prompts of a run keep their order, by use and iteration", "[unit]") {
  SmallStore store;
  const auto third = add_prompt(store.db, SmallStore::prompt("three"));
  set_run_prompts(store.db, store.run, "train", 1, {third, store.first, third});
  set_run_prompts(store.db, store.run, "heldout", 0, {store.second});
  const std::vector<PromptRow> train = run_prompts(store.db, store.run, "train", 1);
  REQUIRE(train.size() == 3);
  CHECK(train[0].text == "three");
  CHECK(train[1].text == "one");
  CHECK(train[2].id == third);
  CHECK(run_prompts(store.db, store.run, "heldout", 0).size() == 1);
  CHECK(run_prompts(store.db, store.run, "train", 2).empty());
  set_run_prompts(store.db, store.run, "train", 1, {store.second});
  CHECK(run_prompts(store.db, store.run, "train", 1).size() == 1);
  CHECK_THROWS_AS(set_run_prompts(store.db, store.run, "train", 1, {store.first, 99}), SqlError);
  CHECK(run_prompts(store.db, store.run, "train", 1).at(0).id ==
        store.second);  // the failed call changed nothing
}

TEST_CASE("Rejected rows are kept once with their reasons", "[unit]") {
  SmallStore store;
  add_rejected_rows(store.db, store.run, {{"a.jsonl", 3, "bad_json"}, {"a.jsonl", 4, "too_long"}});
  add_rejected_rows(store.db, store.run, {{"a.jsonl", 3, "bad_json"}});
  CHECK(integer(store.db, "SELECT count(*) FROM rejected_rows") == 2);
}

TEST_CASE("A sample comes back with tokens, log-probs and text", "[unit]") {
  SmallStore store;
  SampleRow row = store.sample(store.second, 3, "Grüße");
  row.suite = "heldout-t0.7";
  row.seed = -5;
  row.source = "service";
  row.finish_reason = "length";
  row.ids = {7, -1, 2147483647};
  row.logp_policy = {-0.1F, -2.5F, -1e-8F};
  row.logp_sampling = {0.0F, -2.0F, -1e-7F};
  const auto id = store.add(row);
  const auto found = find_sample(store.db, id);
  REQUIRE(found.has_value());
  CHECK(found->id == id);
  CHECK(found->iteration_id == store.iteration);
  CHECK(found->prompt_id == store.second);
  CHECK(found->suite == "heldout-t0.7");
  CHECK(found->k == 3);
  CHECK(found->seed == -5);
  CHECK(found->source == "service");
  CHECK(found->finish_reason == "length");
  CHECK(found->checkpoint_id == store.base);
  CHECK(found->ids == row.ids);
  CHECK(found->logp_policy == row.logp_policy);
  CHECK(found->logp_sampling == row.logp_sampling);
  CHECK(found->text == "Grüße");
  CHECK(integer(store.db, "SELECT n_tokens FROM samples") == 3);
  CHECK(integer(store.db, "SELECT n_chars FROM samples") == 5);
  CHECK(integer(store.db, "SELECT text_hash FROM samples") == text_hash63("Grüße"));
  // The sum is taken in float64: 0.1f + 2.5f + 1e-8f.
  Statement total = store.db.prepare("SELECT logp_policy FROM samples");
  total.step();
  CHECK(total.real(0) ==
        static_cast<double>(-0.1F) + static_cast<double>(-2.5F) + static_cast<double>(-1e-8F));
  CHECK_FALSE(find_sample(store.db, 99).has_value());
}

TEST_CASE("Samples without log-probs or without tokens are possible", "[unit]") {
  SmallStore store;
  SampleRow given = store.sample(store.first, 0, "from a file");
  given.source = "dataset";
  given.checkpoint_id.reset();
  given.logp_policy.clear();
  given.logp_sampling.clear();
  const auto found = find_sample(store.db, store.add(given));
  CHECK(found->logp_policy.empty());
  CHECK_FALSE(found->checkpoint_id.has_value());
  CHECK(integer(store.db,
                "SELECT logp_policy IS NULL AND logp_sampling IS NULL FROM samples WHERE k=0") ==
        1);
  const auto empty = find_sample(store.db, store.add(store.sample(store.first, 1, "", {})));
  CHECK(empty->ids.empty());
  CHECK(integer(store.db, "SELECT logp_policy=0 FROM samples WHERE k=1") == 1);
}

TEST_CASE("What may not be stored as a sample is refused", "[unit]") {
  SmallStore store;
  const SampleRow good = store.sample(store.first, 0, "x");
  CHECK_THROWS_AS(add_sample(store.db, good), InternalError);  // outside of a transaction
  store.add(good);
  CHECK_THROWS_AS(store.add(good), SqlError);  // the same k again
  SampleRow other = good;
  other.suite = "heldout";
  CHECK_NOTHROW(store.add(other));
  const auto refuse = [&](auto change) {
    SampleRow row = store.sample(store.first, 9, "x");
    change(row);
    CHECK_THROWS(store.add(row));
  };
  refuse([](SampleRow& row) { row.finish_reason = "eos"; });
  refuse([](SampleRow& row) { row.source = "dream"; });
  refuse([](SampleRow& row) { row.k = -1; });
  refuse([](SampleRow& row) { row.prompt_id = 99; });
  refuse([](SampleRow& row) { row.iteration_id = 99; });
  refuse([](SampleRow& row) { row.checkpoint_id = 99; });
  refuse([](SampleRow& row) { row.logp_policy = {-1.0F}; });
  refuse([](SampleRow& row) { row.logp_sampling = {-1.0F, -1.0F, -1.0F}; });
  refuse([](SampleRow& row) { row.logp_policy[1] = std::nanf(""); });
  CHECK(integer(store.db, "SELECT count(*) FROM samples") == 2);
  CHECK(integer(store.db, "SELECT count(*) FROM sample_tokens") == 2);
}

TEST_CASE("Samples are listed by prompt and k, and counted by prompt", "[unit]") {
  SmallStore store;
  for (const auto& [prompt, k] : {std::pair{store.second, 1}, {store.first, 2}, {store.second, 0}})
    store.add(store.sample(prompt, k, "x"));
  SampleRow other = store.sample(store.first, 0, "y");
  other.suite = "heldout";
  store.add(other);
  const std::vector<SampleRow> rows = samples(store.db, store.iteration, "train");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].prompt_id == store.first);
  CHECK(rows[1].k == 0);
  CHECK(rows[2].k == 1);
  CHECK(rows[2].ids.size() == 2);
  using Counts = std::vector<std::pair<std::int64_t, std::int64_t>>;
  CHECK(sample_counts(store.db, store.iteration, "train") ==
        Counts{{store.first, 1}, {store.second, 2}});
  CHECK(sample_counts(store.db, store.iteration, "heldout") == Counts{{store.first, 1}});
  CHECK(sample_counts(store.db, store.iteration + 1, "train").empty());
}

TEST_CASE("A sample can have log-probs under several checkpoints", "[unit]") {
  SmallStore store;
  const auto other =
      add_checkpoint(store.db, {0, store.run, "reference", "models/ref", "bb", {}, {}, {}});
  const auto id = store.add(store.sample(store.first, 0, "x"));
  add_reference_logps(store.db, {id, store.base, -1.5, {-1.0F, -0.5F}});
  add_reference_logps(store.db, {id, other, -3.0, {-2.0F, -1.0F}});
  CHECK(find_reference_logps(store.db, id, store.base)->total == -1.5);
  CHECK(find_reference_logps(store.db, id, other)->values == std::vector<float>{-2.0F, -1.0F});
  CHECK_FALSE(find_reference_logps(store.db, id, other + 1).has_value());
  CHECK_THROWS_AS(add_reference_logps(store.db, {id, other, -1.0, {-1.0F}}), InternalError);
  CHECK_THROWS_AS(add_reference_logps(store.db, {99, other, -1.0, {-1.0F}}), SqlError);
  CHECK_THROWS_AS(add_reference_logps(store.db, {id, 99, -1.0, {-1.0F, 0.0F}}), SqlError);
  CHECK(integer(store.db, "SELECT count(*) FROM reference_logps") == 2);
}
