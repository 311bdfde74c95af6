#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

TEST_CASE("Every view has rows on the demo data", "[unit]") {
  DemoStore store;
  const Database reader = Database::open_reader(store.file);
  Statement views =
      reader.prepare("SELECT name FROM sqlite_schema WHERE type='view' ORDER BY name");
  int count = 0;
  while (views.step()) {
    const std::string name = views.text(0);
    INFO(name);
    CHECK(name.rfind("v_", 0) == 0);
    CHECK(integer(reader, "SELECT count(*) FROM (SELECT * FROM " + name + " LIMIT 5)") > 0);
    ++count;
  }
  CHECK(count == 20);
  CHECK(integer(reader, "SELECT count(*) FROM pragma_foreign_key_check") == 0);
}

TEST_CASE("v_tokens decodes the packed columns", "[unit]") {
  DemoStore store;
  // Sample 61: ids 1, 504, -1; policy -0.5, -1.25, -2; sampling -0.25, -1, -1.5; reference -1,
  // -0.125, -0.
  Statement query = store.db.prepare(
      "SELECT pos, id, logp_policy, logp_sampling, logp_ref FROM v_tokens WHERE sample_id=61 ORDER "
      "BY pos");
  const double expected[3][5] = {
      {0, 1, -0.5, -0.25, -1}, {1, 504, -1.25, -1, -0.125}, {2, -1, -2, -1.5, 0}};
  for (const auto& row : expected) {
    REQUIRE(query.step());
    for (int column = 0; column < 5; ++column) CHECK(query.real(column) == row[column]);
  }
  CHECK_FALSE(query.step());
  Statement rewards =
      store.db.prepare("SELECT value FROM v_token_rewards WHERE sample_id=61 ORDER BY pos");
  for (const double value : {-0.5, -1.25, -2.0}) {
    REQUIRE(rewards.step());
    CHECK(rewards.real(0) == value);
  }
}

TEST_CASE("The pure SQL decoder is exact for every kind of float32", "[unit]") {
  SmallStore store;
  const std::vector<float> values{0.0F,           -0.0F,         1.0F,   -1.0F,   0.1F,
                                  -3.4028235e38F, 3.4028235e38F, 1e-45F, -1e-40F, 1.17549435e-38F,
                                  1.1754942e-38F, -123456.789F,  6.1e-5F};
  const std::int64_t module = reward_module(store.db, {"m", "m", "1", "{}"});
  const std::int64_t id =
      store.add(store.sample(store.first, 0, "x", std::vector<float>(values.size(), -1.0F)));
  add_reward(store.db, {id, module, 1.0, {}, "", "", 0, values});
  Statement query =
      store.db.prepare("SELECT value FROM v_token_rewards WHERE sample_id=? ORDER BY pos");
  query.bind(id);
  for (const float value : values) {
    REQUIRE(query.step());
    CHECK(query.real(0) == static_cast<double>(value));
  }
  CHECK_FALSE(query.step());
}

TEST_CASE("Views give the numbers that can be worked out by hand", "[unit]") {
  SmallStore store;
  Database& db = store.db;
  const std::int64_t module = reward_module(db, {"m", "m", "1", "{}"});
  // Lengths 1, 2, 3, 4 with scores 1, 3, 2, 5.
  const double score[] = {1, 3, 2, 5};
  for (int k = 0; k < 4; ++k) {
    SampleRow row = store.sample(store.first, k, k < 2 ? "same" : "text " + std::to_string(k),
                                 std::vector<float>(static_cast<std::size_t>(k) + 1, -0.5F));
    row.finish_reason = k == 3 ? "length" : "stop";
    add_reward(db,
               {store.add(row), module, score[k], {}, R"({"li":0.5,"branch":"open"})", "", 0, {}});
  }
  // Covariance 5.5/4, variances 5/4 and 8.75/4: r = 5.5/sqrt(5*8.75).
  const auto real = [&](const std::string& sql) { return std::stod(text(db, sql)); };
  CHECK(real("SELECT pearson FROM v_length_bias") == Approx(5.5 / std::sqrt(43.75)).epsilon(1e-12));
  CHECK(real("SELECT mean FROM v_reward_by_iteration") == 2.75);
  CHECK(real("SELECT sd FROM v_reward_by_iteration") == Approx(std::sqrt(8.75 / 4)).epsilon(1e-12));
  CHECK(text(db, "SELECT lo||' '||hi FROM v_reward_by_iteration") == "1.0 5.0");
  CHECK(real("SELECT mean_tokens FROM v_sample_statistics") == 2.5);
  CHECK(real("SELECT eos_share FROM v_sample_statistics") == 0.75);
  CHECK(real("SELECT truncated_share FROM v_sample_statistics") == 0.25);
  CHECK(real("SELECT duplicate_share FROM v_sample_statistics") == 0.25);
  CHECK(real("SELECT logp_token FROM v_sample_statistics") == -0.5);
  CHECK(text(db, "SELECT copies||' '||first_sample FROM v_duplicates") == "2 1");
  CHECK(integer(
            db,
            "SELECT count(*) FROM v_reward_components WHERE component='branch' AND value='open'") ==
        4);
}

TEST_CASE("The ledger view follows a pair through training", "[unit]") {
  DemoStore store;
  store.db.execute(
      "DELETE FROM step_pairs; INSERT INTO step_pairs VALUES(1,0,1,0.9,-0.1,-3,-4), "
      "(2,0,1,0.5,0.3,-3,-4), (2,1,2,0.7,0,-3,-4)");
  CHECK(text(store.db,
             "SELECT visits||' '||last_loss||' '||last_margin||' '||mean_loss FROM v_pair_ledger "
             "WHERE pair_id=1") == "2 0.5 0.3 0.7");
  CHECK(text(store.db, "SELECT round(mean_margin, 9) FROM v_pair_ledger WHERE pair_id=1") == "0.1");
}

TEST_CASE("Lineage leads from a policy to what it was trained from", "[unit]") {
  DemoStore store;
  CHECK(text(store.db,
             "SELECT made_by_iteration||' '||sha256||' '||parent_sha256 FROM v_lineage WHERE "
             "checkpoint_id=3") == "2 cc22 bb11");
  CHECK(text(store.db, "SELECT role FROM v_lineage WHERE parent_id IS NULL") == "base");
}
