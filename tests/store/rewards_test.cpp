#include "store/rewards.hpp"

#include "demo.hpp"
#include "store/consistency.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

TEST_CASE("A reward module is one row for name, version and options", "[unit]") {
  FreshStore store;
  const auto id = reward_module(store.db, {"r3", "r3", "1", R"({"cap":0.96})"});
  CHECK(reward_module(store.db, {"r3", "r3", "1", R"({"cap":0.96})"}) == id);
  CHECK(reward_module(store.db, {"r3", "r3", "1", R"({"cap":0.5})"}) != id);
  CHECK(reward_module(store.db, {"r3", "r3", "2", R"({"cap":0.96})"}) != id);
  CHECK(integer(store.db, "SELECT count(*) FROM reward_modules") == 3);
  CHECK_THROWS_AS(reward_module(store.db, {"x", "x", "1", "not json"}), SqlError);
}

TEST_CASE("Rewards come back with components, errors and token values", "[unit]") {
  SmallStore store;
  const auto id = store.add(store.sample(store.first, 0, "x"));
  const auto a = reward_module(store.db, {"a", "a", "1", "{}"}),
             b = reward_module(store.db, {"b", "b", "1", "{}"});
  add_reward(store.db, {id, a, 0.25, 0.5, R"({"li":0.5})", "", 120, {0.5F, -0.25F}});
  add_reward(store.db, {id, b, std::nullopt, std::nullopt, "", "out of memory", 3, {}});
  const std::vector<RewardRow> rows = rewards_of_sample(store.db, id);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].sample_id == id);
  CHECK(rows[0].module_id == a);
  CHECK(rows[0].score == 0.25);
  CHECK(rows[0].raw == 0.5);
  CHECK(rows[0].components == R"({"li":0.5})");
  CHECK(rows[0].error.empty());
  CHECK(rows[0].latency_us == 120);
  CHECK(rows[0].per_token == std::vector<float>{0.5F, -0.25F});
  CHECK_FALSE(rows[1].score.has_value());
  CHECK(rows[1].error == "out of memory");
  CHECK(rows[1].per_token.empty());
  CHECK(text(store.db, "SELECT n||' '||total||' '||vmin||' '||vmax FROM token_rewards") ==
        "2 0.25 -0.25 0.5");

  add_reward(store.db, {id, a, 1.0, {}, "", "", 1, {}});  // replaces, token values too
  CHECK(rewards_of_sample(store.db, id)[0].score == 1.0);
  CHECK(rewards_of_sample(store.db, id)[0].per_token.empty());
  CHECK(rewards_of_sample(store.db, 99).empty());
}

TEST_CASE("A reward without score needs a reason, one with score has none", "[unit]") {
  SmallStore store;
  const auto id = store.add(store.sample(store.first, 0, "x"));
  const auto a = reward_module(store.db, {"a", "a", "1", "{}"});
  add_reward(store.db, {id, a, 1.0, {}, "", "", 0, {}});
  CHECK_THROWS_AS(add_reward(store.db, {id, a, std::nullopt, {}, "", "", 0, {}}), SqlError);
  CHECK_THROWS_AS(add_reward(store.db, {id, a, 1.0, {}, "", "why", 0, {}}), SqlError);
  CHECK_THROWS_AS(add_reward(store.db, {id, a, std::nan(""), {}, "", "", 0, {}}), DataError);
  CHECK_THROWS_AS(add_reward(store.db, {id, a, 1.0, {}, "{", "", 0, {}}), SqlError);
  CHECK_THROWS_AS(add_reward(store.db, {99, a, 1.0, {}, "", "", 0, {}}), SqlError);
  CHECK_THROWS_AS(add_reward(store.db, {id, 99, 1.0, {}, "", "", 0, {}}), SqlError);
  CHECK_THROWS_AS(add_reward(store.db, {id, a, 1.0, {}, "", "", 0, {1.0F}}),
                  InternalError);                             // one value for two tokens
  CHECK(rewards_of_sample(store.db, id).at(0).score == 1.0);  // what was there is still there
}

TEST_CASE("What is unscored is found for a resumed run", "[unit]") {
  SmallStore store;
  std::vector<std::int64_t> ids;
  for (int k = 0; k < 4; ++k) ids.push_back(store.add(store.sample(store.first, k, "x")));
  SampleRow other = store.sample(store.first, 0, "x");
  other.suite = "heldout";
  ids.push_back(store.add(other));
  const auto a = reward_module(store.db, {"a", "a", "1", "{}"}),
             b = reward_module(store.db, {"b", "b", "1", "{}"});
  CHECK(unscored_samples(store.db, store.iteration, a) == ids);
  add_reward(store.db, {ids[1], a, 0.5, {}, "", "", 0, {}});
  add_reward(store.db, {ids[2], a, std::nullopt, {}, "", "timeout", 0, {}});
  CHECK(unscored_samples(store.db, store.iteration, a) ==
        std::vector<std::int64_t>{ids[0], ids[2], ids[3], ids[4]});
  CHECK(unscored_samples(store.db, store.iteration, b) == ids);
  CHECK(unscored_samples(store.db, store.iteration + 1, a).empty());
  add_reward(store.db, {ids[4], a, 0.75, {}, "", "", 0, {}});
  using Scores = std::vector<std::pair<std::int64_t, double>>;
  CHECK(scores(store.db, store.iteration, "train", a) == Scores{{ids[1], 0.5}});
  CHECK(scores(store.db, store.iteration, "heldout", a) == Scores{{ids[4], 0.75}});
  CHECK(scores(store.db, store.iteration, "train", b).empty());
}

TEST_CASE("The newest module of a name that scored an iteration is found", "[unit]") {
  SmallStore store;
  const auto id = store.add(store.sample(store.first, 0, "x"));
  const auto old = reward_module(store.db, {"a", "a", "1", "{}"}),
             newer = reward_module(store.db, {"a", "a", "2", "{}"});
  CHECK_FALSE(find_reward_module(store.db, store.iteration, "a").has_value());
  add_reward(store.db, {id, old, 1.0, {}, "", "", 0, {}});
  add_reward(store.db, {id, newer, std::nullopt, {}, "", "failed", 0, {}});
  CHECK(find_reward_module(store.db, store.iteration, "a") ==
        old);  // the newer one has only failed
  add_reward(store.db, {id, newer, 1.0, {}, "", "", 0, {}});
  CHECK(find_reward_module(store.db, store.iteration, "a") == newer);
  CHECK_FALSE(find_reward_module(store.db, store.iteration, "b").has_value());
}

TEST_CASE("Rankings and their consistency come back", "[unit]") {
  SmallStore store;
  const auto x = store.add(store.sample(store.first, 0, "x")),
             y = store.add(store.sample(store.first, 1, "y"));
  add_ranking(store.db, {store.iteration, store.first, "cur", x, 2, -1.5});
  add_ranking(store.db, {store.iteration, store.first, "cur", y, 2, std::nullopt});
  add_ranking(store.db, {store.iteration, store.first, "cur", y, 1, -0.5});
  const std::vector<RankingRow> order = rankings(store.db, store.iteration, store.first, "cur");
  REQUIRE(order.size() == 2);
  CHECK(order[0].sample_id == y);
  CHECK(order[0].score == -0.5);
  CHECK(order[1].rank == 2);
  CHECK(rankings(store.db, store.iteration, store.first, "prev").empty());
  CHECK_THROWS_AS(add_ranking(store.db, {store.iteration, store.first, "cur", x, 0, {}}), SqlError);

  add_consistency(store.db, {store.iteration, store.second, "kendall", "cur", "prev", 0.25});
  add_consistency(store.db, {store.iteration, store.first, "kendall", "cur", "prev", 0.5});
  add_consistency(store.db, {store.iteration, store.first, "kendall", "cur", "prev", 0.75});
  const std::vector<ConsistencyRow> rows = consistency(store.db, store.iteration, "kendall");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].prompt_id == store.first);
  CHECK(rows[0].value == 0.75);
  CHECK(rows[1].ranker_b == "prev");
  CHECK_THROWS_AS(
      add_consistency(store.db, {store.iteration, store.first, "pearson", "cur", "prev", 1}),
      SqlError);
}
