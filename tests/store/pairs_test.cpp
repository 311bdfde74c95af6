#include "store/pairs.hpp"

#include "demo.hpp"
#include "store/training.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

namespace {

struct PairStore : SmallStore {
  std::int64_t module = reward_module(db, {"r3", "r3", "1", "{}"});
  std::int64_t a = add(sample(first, 0, "a")), b = add(sample(first, 1, "b")),
               c = add(sample(second, 0, "c")), d = add(sample(second, 1, "d"));

  PairSet set(const std::string& name) const {
    return {0, iteration, name, "max_min", module, R"({"rule":"max_min"})"};
  }
  PairRow pair(std::int64_t prompt, std::int64_t chosen, std::int64_t rejected,
               double margin = 0.5) const {
    return {0, 0, prompt, chosen, rejected, margin, 0.75, std::nullopt};
  }
};

}  // namespace

TEST_CASE("A pair set comes back with pairs and skips", "[unit]") {
  PairStore store;
  PairRow dropped = store.pair(store.second, store.c, store.d, 0.0);
  dropped.dropped = "tie";
  const auto id = write_pair_set(store.db, store.set("train"),
                                 {store.pair(store.first, store.b, store.a), dropped},
                                 {{store.second, "duplicates"}});
  const auto set = find_pair_set(store.db, store.iteration, "train");
  REQUIRE(set.has_value());
  CHECK(set->id == id);
  CHECK(set->iteration_id == store.iteration);
  CHECK(set->strategy == "max_min");
  CHECK(set->module_id == store.module);
  CHECK(set->config == R"({"rule":"max_min"})");
  const std::vector<PairRow> pairs = active_pairs(store.db, id);
  REQUIRE(pairs.size() == 1);
  CHECK(pairs[0].pair_set_id == id);
  CHECK(pairs[0].prompt_id == store.first);
  CHECK(pairs[0].chosen_id == store.b);
  CHECK(pairs[0].rejected_id == store.a);
  CHECK(pairs[0].margin == 0.5);
  CHECK(pairs[0].soft_label == 0.75);
  CHECK(text(store.db, "SELECT dropped FROM pairs WHERE dropped IS NOT NULL") == "tie");
  REQUIRE(pair_skips(store.db, id).size() == 1);
  CHECK(pair_skips(store.db, id)[0].reason == "duplicates");
  CHECK_FALSE(find_pair_set(store.db, store.iteration, "other").has_value());
}

TEST_CASE("Two pair sets stand side by side over the same samples", "[unit]") {
  PairStore store;
  const std::vector<PairRow> pairs{store.pair(store.first, store.a, store.b)};
  const auto one = write_pair_set(store.db, store.set("train"), pairs, {});
  const auto two = write_pair_set(store.db, store.set("random"), pairs, {});
  CHECK(one != two);
  CHECK(active_pairs(store.db, one).size() == 1);
  CHECK(active_pairs(store.db, two).size() == 1);
  write_pair_set(store.db, store.set("random"), {}, {});
  CHECK(active_pairs(store.db, one).size() == 1);
}

TEST_CASE(
    "Rewriting a pair set takes its ledger, spans and skips with it and leaves the other set's",
    "[unit]") {
  PairStore store;
  const auto old =
      write_pair_set(store.db, store.set("train"), {store.pair(store.first, store.a, store.b)},
                     {{store.second, "tie"}});
  const auto other = write_pair_set(store.db, store.set("other"),
                                    {store.pair(store.second, store.c, store.d)}, {});
  const auto pair = active_pairs(store.db, old).at(0).id,
             kept = active_pairs(store.db, other).at(0).id;
  add_pair_span(store.db, {pair, 0, 0, 1, 0, 1});
  StepRow step;
  step.run_id = store.run;
  step.iteration_id = store.iteration;
  step.global_step = 1;
  step.ledger = {{pair, 0.7, 0.0, -1, -2}, {kept, 0.6, 0.1, -1, -2}};
  add_step(store.db, step);

  write_pair_set(store.db, store.set("train"), {store.pair(store.first, store.b, store.a)}, {});
  CHECK(integer(store.db, "SELECT count(*) FROM step_pairs") == 1);
  CHECK(integer(store.db, "SELECT pair_id FROM step_pairs") == kept);
  CHECK(integer(store.db, "SELECT count(*) FROM pair_spans") == 0);
  CHECK(integer(store.db, "SELECT count(*) FROM pair_skips") == 0);
  CHECK(integer(store.db, "SELECT count(*) FROM steps") == 1);
  CHECK(integer(store.db, "SELECT count(*) FROM pragma_foreign_key_check") == 0);
}

TEST_CASE("A pair set that cannot be written leaves the old one in place", "[unit]") {
  PairStore store;
  const auto id =
      write_pair_set(store.db, store.set("train"), {store.pair(store.first, store.a, store.b)}, {});
  const auto refuse = [&](const PairRow& pair) {
    CHECK_THROWS(write_pair_set(store.db, store.set("train"),
                                {store.pair(store.second, store.c, store.d), pair}, {}));
    CHECK(active_pairs(store.db, id).at(0).chosen_id == store.a);
  };
  refuse(store.pair(store.second, store.c, store.c));
  refuse(store.pair(store.second, store.c, store.d));  // the same pair twice
  refuse(store.pair(store.second, store.c, 99));
  refuse(store.pair(99, store.a, store.b));
  refuse(store.pair(store.first, store.a, store.b, std::nan("")));
  PairRow certain = store.pair(store.first, store.a, store.b);
  certain.soft_label = 1.5;
  refuse(certain);
  CHECK_THROWS(write_pair_set(store.db, store.set("train"), {},
                              {{store.first, "tie"}, {store.first, "tie"}}));
  CHECK_FALSE(store.db.in_transaction());
}

TEST_CASE("Spans may be empty on one side, not on both", "[unit]") {
  PairStore store;
  const auto id =
      write_pair_set(store.db, store.set("train"), {store.pair(store.first, store.a, store.b)}, {});
  const auto pair = active_pairs(store.db, id).at(0).id;
  add_pair_span(store.db, {pair, 1, 2, 2, 0, 3});
  add_pair_span(store.db, {pair, 0, 0, 1, 4, 4});
  const std::vector<PairSpan> spans = pair_spans(store.db, pair);
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].span == 0);
  CHECK(spans[0].chosen_end == 1);
  CHECK(spans[1].rejected_end == 3);
  CHECK_THROWS_AS(add_pair_span(store.db, {pair, 2, 1, 1, 2, 2}), SqlError);
  CHECK_THROWS_AS(add_pair_span(store.db, {pair, 2, 3, 1, 2, 4}), SqlError);
  CHECK_THROWS_AS(add_pair_span(store.db, {pair, 2, -1, 1, 2, 4}), SqlError);
  CHECK_THROWS_AS(add_pair_span(store.db, {pair, 0, 0, 1, 0, 1}), SqlError);
  CHECK_THROWS_AS(add_pair_span(store.db, {99, 0, 0, 1, 0, 1}), SqlError);
}
