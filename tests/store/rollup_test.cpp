#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

namespace {

/// Rows in which the roll-ups differ from what the tables themselves say (sums to 1e-9).
constexpr const char* kSampleDrift = R"(
WITH truth AS (SELECT iteration_id, suite, count(*) AS n, sum(n_tokens) AS tokens, sum(finish_reason='stop') AS stops,
    sum(finish_reason='length') AS truncated, sum(finish_reason='error') AS errors, count(DISTINCT prompt_id||':'||text_hash) AS texts,
    count(logp_policy) AS n_logp, total(iif(logp_policy IS NULL, 0, n_tokens)) AS tokens_logp, total(logp_policy) AS lp, total(logp_sampling) AS ls
  FROM samples GROUP BY 1, 2)
SELECT count(*) FROM truth t FULL JOIN sample_rollup u ON u.iteration_id=t.iteration_id AND u.suite=t.suite
WHERE (t.n, t.tokens, t.stops, t.truncated, t.errors, t.texts, t.n_logp, t.tokens_logp)
    IS NOT (u.n, u.tokens, u.stops, u.truncated, u.errors, u.distinct_texts, u.n_logp, u.tokens_logp)
  OR abs(t.lp-u.logp_policy)>1e-9 OR abs(t.ls-u.logp_sampling)>1e-9)";

constexpr const char* kRewardDrift = R"(
WITH truth AS (SELECT s.iteration_id, s.suite, r.module_id, count(r.score) AS n, sum(r.error IS NOT NULL) AS errors, total(r.score) AS y,
    total(r.score*r.score) AS yy, min(r.score) AS lo, max(r.score) AS hi, total(iif(r.score IS NULL, 0, s.n_tokens)) AS x,
    total(iif(r.score IS NULL, 0, s.n_tokens*s.n_tokens)) AS xx, total(s.n_tokens*r.score) AS xy
  FROM rewards r JOIN samples s USING(sample_id) GROUP BY 1, 2, 3)
SELECT count(*) FROM truth t FULL JOIN reward_rollup u ON u.iteration_id=t.iteration_id AND u.suite=t.suite AND u.module_id=t.module_id
LEFT JOIN iterations i ON i.iteration_id=u.iteration_id
LEFT JOIN v_reward_by_iteration v ON v.run_id=i.run_id AND v.iteration=i.idx AND v.suite=u.suite AND v.module_id=u.module_id
WHERE (t.n, t.errors, t.x, t.xx) IS NOT (u.n, u.errors, u.tokens, u.tokens_sq) OR (v.lo, v.hi) IS NOT (t.lo, t.hi)
  OR abs(t.y-u.total)>1e-9 OR abs(t.yy-u.total_sq)>1e-9 OR abs(t.xy-u.tokens_score)>1e-6)";

constexpr const char* kReferenceDrift = R"(
WITH truth AS (SELECT s.iteration_id, s.suite, l.checkpoint_id, count(*) AS n, sum(s.n_tokens) AS tokens, total(s.logp_policy-l.total) AS d,
    total((s.logp_policy-l.total)*(s.logp_policy-l.total)) AS dd
  FROM reference_logps l JOIN samples s USING(sample_id) WHERE s.logp_policy IS NOT NULL GROUP BY 1, 2, 3)
SELECT count(*) FROM truth t FULL JOIN reference_rollup u ON u.iteration_id=t.iteration_id AND u.suite=t.suite AND u.checkpoint_id=t.checkpoint_id
WHERE (t.n, t.tokens) IS NOT (u.n, u.tokens) OR abs(t.d-u.log_ratio)>1e-9 OR abs(t.dd-u.log_ratio_sq)>1e-6)";

void check_rollups(const Database& db) {
  CHECK(integer(db, kSampleDrift) == 0);
  CHECK(integer(db, kRewardDrift) == 0);
  CHECK(integer(db, kReferenceDrift) == 0);
}

}  // namespace

TEST_CASE("Roll-ups equal what the tables say", "[unit]") {
  DemoStore store;
  Database& db = store.db;
  CHECK(integer(db, "SELECT sum(n) FROM sample_rollup") ==
        720);  // 4 responses x (3 x 45 + 3 x 15) prompts
  check_rollups(db);

  SECTION("after a broken roll-up the check fails") {
    db.execute("UPDATE reward_rollup SET total=total+0.001");
    CHECK(integer(db, kRewardDrift) > 0);
    db.execute("UPDATE sample_rollup SET distinct_texts=distinct_texts+1");
    CHECK(integer(db, kSampleDrift) > 0);
    db.execute("UPDATE reference_rollup SET n=n-1");
    CHECK(integer(db, kReferenceDrift) > 0);
  }
  SECTION("after rewards were replaced") {
    const auto module = integer(db, "SELECT module_id FROM reward_modules WHERE name='genarm'");
    Statement failed = db.prepare("SELECT sample_id FROM rewards WHERE error IS NOT NULL");
    std::vector<std::int64_t> ids;
    while (failed.step()) ids.push_back(failed.integer(0));
    REQUIRE(ids.size() > 3);
    for (const std::int64_t id : ids)
      add_reward(db, {id, module, 99.0, std::nullopt, "", "", 1, {}});
    check_rollups(db);
    CHECK(integer(db, "SELECT sum(errors) FROM reward_rollup") == 0);
    for (const std::int64_t id : ids)
      add_reward(db, {id, module, std::nullopt, std::nullopt, "", "out of memory", 1, {}});
    check_rollups(db);
  }
  SECTION("after INSERT OR REPLACE") {
    db.execute(
        "INSERT OR REPLACE INTO rewards(sample_id, module_id, score) SELECT sample_id, module_id, "
        "coalesce(score, 0)*2-1 FROM rewards");
    check_rollups(db);
  }
  SECTION("after extremes and whole groups were deleted") {
    db.execute(
        "DELETE FROM rewards WHERE score>=(SELECT max(score) FROM rewards) OR score<=(SELECT "
        "min(score) FROM rewards)");
    check_rollups(db);
    db.execute(
        "INSERT INTO rewards(sample_id, module_id, score) SELECT min(sample_id), 2, 0.125 FROM "
        "samples s WHERE NOT EXISTS("
        "SELECT 1 FROM rewards r WHERE r.sample_id=s.sample_id AND r.module_id=2)");
    check_rollups(db);
    db.execute("DELETE FROM rewards WHERE module_id=1");
    check_rollups(db);
    CHECK(integer(db, "SELECT count(*) FROM reward_rollup WHERE module_id=1") == 0);
  }
  SECTION("after samples were deleted, with everything that hangs on them") {
    db.execute("DELETE FROM samples WHERE sample_id%3=0");
    check_rollups(db);
    CHECK(integer(db, "SELECT count(*) FROM rewards WHERE sample_id%3=0") == 0);
    CHECK(integer(db, "SELECT count(*) FROM sample_tokens WHERE sample_id%3=0") == 0);
    db.execute("DELETE FROM samples");
    check_rollups(db);
    CHECK(integer(db, "SELECT count(*) FROM sample_rollup") == 0);
  }
  SECTION("after an iteration was deleted") {
    db.execute("DELETE FROM iterations WHERE idx=1");
    check_rollups(db);
    CHECK(integer(db, "SELECT count(*) FROM samples WHERE iteration_id=2") == 0);
    CHECK(integer(db,
                  "SELECT count(*) FROM reference_logps WHERE sample_id NOT IN (SELECT sample_id "
                  "FROM samples)") == 0);
  }
  SECTION("after the run was deleted") {
    db.execute("DELETE FROM runs");
    check_rollups(db);
    CHECK(integer(db, "SELECT count(*) FROM samples") == 0);
    CHECK(integer(db, "SELECT count(*) FROM steps") == 0);
  }
  SECTION("after a rollback") {
    {
      Transaction transaction(db);
      db.execute("DELETE FROM samples WHERE sample_id%2=0");
    }
    check_rollups(db);
    CHECK(integer(db, "SELECT sum(n) FROM sample_rollup") == 720);
  }
}

TEST_CASE("Reference log-probs replaced for one checkpoint leave the other alone", "[unit]") {
  SmallStore store;
  const std::int64_t id = store.add(store.sample(store.first, 0, "x"));
  const std::int64_t other =
      add_checkpoint(store.db, {0, store.run, "reference", "models/ref", "bb", {}, {}, {}});
  add_reference_logps(store.db, {id, store.base, -1.0, {-0.5F, -0.5F}});
  add_reference_logps(store.db, {id, other, -2.0, {-1.0F, -1.0F}});
  add_reference_logps(store.db, {id, other, -3.0, {-1.5F, -1.5F}});
  check_rollups(store.db);
  // The policy's sum is -0.75.
  CHECK(text(store.db,
             "SELECT group_concat(kl_seq) FROM (SELECT kl_seq FROM v_kl ORDER BY reference_id)") ==
        "0.25,2.25");
  CHECK(text(store.db, "SELECT kl_token FROM v_kl_by_iteration") == "0.125");
}

TEST_CASE("The full-text index follows the samples", "[unit]") {
  SmallStore store;
  const auto hits = [&](const std::string& words) {
    return integer(store.db,
                   "SELECT count(*) FROM samples_fts WHERE samples_fts MATCH '" + words + "'");
  };
  const std::int64_t id = store.add(store.sample(store.first, 0, "the quick brown fox"));
  store.add(store.sample(store.first, 1, "the slow fox"));
  CHECK(hits("fox") == 2);
  CHECK(hits("quick") == 1);
  {
    Transaction transaction(store.db);
    add_sample(store.db, store.sample(store.first, 2, "a fox that is rolled back"));
  }
  CHECK(hits("fox") == 2);
  store.db.execute("DELETE FROM samples WHERE sample_id=" + std::to_string(id));
  CHECK(hits("quick") == 0);
  store.db.execute("INSERT INTO samples_fts(samples_fts, rank) VALUES('integrity-check', 1)");
}

TEST_CASE("Written samples, rewards and reference log-probs cannot be changed in place", "[unit]") {
  DemoStore store;
  CHECK_THROWS_AS(store.db.execute("UPDATE samples SET text='other' WHERE sample_id=1"), SqlError);
  CHECK_THROWS_AS(store.db.execute("UPDATE rewards SET score=1 WHERE sample_id=1"), SqlError);
  CHECK_THROWS_AS(store.db.execute("UPDATE reference_logps SET total=1 WHERE sample_id=1"),
                  SqlError);
  check_rollups(store.db);
}
