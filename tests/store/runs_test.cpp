#include "store/runs.hpp"

#include <regex>

#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

TEST_CASE("Runs come back as they were written, the newest of a name first", "[unit]") {
  FreshStore store;
  const std::string config = R"({"loss":{"name":"simpo"},"run":{"seed":"42"}})";
  const auto first = create_run(store.db, "a", 42, "0.1.0", config);
  const auto second = create_run(store.db, "a", 43, "0.1.0", "{}");
  CHECK(first != second);
  const auto found = find_run(store.db, "a");
  REQUIRE(found.has_value());
  CHECK(found->id == second);
  CHECK(found->seed == 43);
  CHECK(found->status == "running");
  CHECK_FALSE(find_run(store.db, "b").has_value());
  CHECK(text(store.db, "SELECT config FROM runs WHERE run_id=1") == config);
  CHECK(text(store.db, "SELECT loss FROM runs WHERE run_id=1") == "simpo");

  // RFC 4122 version 4: random, with fixed version and variant digits.
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  CHECK(std::regex_match(found->uuid, uuid));
  CHECK(integer(store.db, "SELECT count(DISTINCT uuid) FROM runs") == 2);

  set_run_status(store.db, second, "done");
  set_run_config(store.db, second, R"({"a":{"b":"c"}})");
  CHECK(find_run(store.db, "a")->status == "done");
  CHECK(find_run(store.db, "a")->config == R"({"a":{"b":"c"}})");
  CHECK(integer(store.db, "SELECT finished_at IS NOT NULL FROM runs WHERE run_id=2") == 1);
  set_run_status(store.db, second, "running");
  CHECK(integer(store.db, "SELECT finished_at IS NULL FROM runs WHERE run_id=2") == 1);

  CHECK_THROWS_AS(set_run_status(store.db, second, "sleeping"), SqlError);
  CHECK_THROWS_AS(set_run_config(store.db, second, "not json"), SqlError);
  CHECK_THROWS_AS(create_run(store.db, "c", 1, "0.1.0", "{"), SqlError);
  CHECK_THROWS_AS(set_run_status(store.db, 99, "done"), InternalError);
}

TEST_CASE("Checkpoints are found by id and by content", "[unit]") {
  FreshStore store;
  const auto run = create_run(store.db, "a", 1, "0.1.0", "{}");
  const auto base = add_checkpoint(
      store.db, {0, run, "base", "models/x", "aa11", std::nullopt, std::nullopt, std::nullopt});
  const auto policy =
      add_checkpoint(store.db, {0, run, "policy", "policy/iter-01", "bb22", 1000, 12, base});
  const auto found = find_checkpoint(store.db, policy);
  REQUIRE(found.has_value());
  CHECK(found->id == policy);
  CHECK(found->run_id == run);
  CHECK(found->role == "policy");
  CHECK(found->path == "policy/iter-01");
  CHECK(found->sha256 == "bb22");
  CHECK(found->bytes == 1000);
  CHECK(found->global_step == 12);
  CHECK(found->parent_id == base);
  CHECK(find_checkpoint(store.db, run, "base", "aa11")->id == base);
  CHECK_FALSE(find_checkpoint(store.db, base)->bytes.has_value());
  CHECK_FALSE(find_checkpoint(store.db, run, "policy", "aa11").has_value());
  CHECK_FALSE(find_checkpoint(store.db, run + 1, "base", "aa11").has_value());
  CHECK_FALSE(find_checkpoint(store.db, 99).has_value());
  CHECK_THROWS_AS(add_checkpoint(store.db, {0, run, "friend", "p", "s", {}, {}, {}}), SqlError);
  CHECK_THROWS_AS(add_checkpoint(store.db, {0, run, "policy", "p", "s", {}, {}, 99}), SqlError);
}

TEST_CASE("Iterations keep their phase and their three policies", "[unit]") {
  FreshStore store;
  const auto run = create_run(store.db, "a", 1, "0.1.0", "{}");
  const auto base = add_checkpoint(store.db, {0, run, "base", "models/x", "aa", {}, {}, {}});
  const auto made = add_checkpoint(store.db, {0, run, "policy", "policy/1", "bb", {}, {}, base});
  create_iteration(store.db, {0, run, 2, "rollout", made, base, {}}, "{}");
  const auto one =
      create_iteration(store.db, {0, run, 1, "eval", base, {}, base}, R"({"temperature":1.0})");
  set_iteration_phase(store.db, one, "done");
  set_iteration_result(store.db, one, made);

  const std::vector<Iteration> all = iterations(store.db, run);
  REQUIRE(all.size() == 2);
  CHECK(all[0].index == 1);
  CHECK(all[0].id == one);
  CHECK(all[0].phase == "done");
  CHECK(all[0].policy_checkpoint_id == base);
  CHECK_FALSE(all[0].reference_checkpoint_id.has_value());
  CHECK(all[0].result_checkpoint_id == made);
  CHECK(all[1].phase == "rollout");
  CHECK(all[1].reference_checkpoint_id == base);
  CHECK(find_iteration(store.db, run, 2)->policy_checkpoint_id == made);
  CHECK_FALSE(find_iteration(store.db, run, 3).has_value());

  for (const char* phase : {"rollout", "score", "pair", "annotate", "train", "eval", "done"})
    CHECK_NOTHROW(set_iteration_phase(store.db, one, phase));
  CHECK_THROWS_AS(set_iteration_phase(store.db, one, "sleep"), SqlError);
  CHECK_THROWS_AS(create_iteration(store.db, {0, run, 1, "rollout", {}, {}, {}}, "{}"),
                  SqlError);  // index taken
  CHECK_THROWS_AS(create_iteration(store.db, {0, run, -1, "rollout", {}, {}, {}}, "{}"), SqlError);
  CHECK_THROWS_AS(create_iteration(store.db, {0, run, 3, "rollout", 99, {}, {}}, "{}"),
                  SqlError);  // no such checkpoint
  CHECK_THROWS_AS(set_iteration_result(store.db, 99, made), InternalError);
}

TEST_CASE("Events carry what a person should find later", "[unit]") {
  FreshStore store;
  const auto run = create_run(store.db, "a", 1, "0.1.0", "{}");
  add_event(store.db, run, std::nullopt, "warn", "disk", "almost full", R"({"free":3})");
  add_event(store.db, std::nullopt, std::nullopt, "info", "note", "no data");
  CHECK(text(store.db, "SELECT level||kind||message||data FROM events WHERE event_id=1") ==
        R"(warndiskalmost full{"free":3})");
  CHECK(integer(store.db, "SELECT data IS NULL AND run_id IS NULL FROM events WHERE event_id=2") ==
        1);
  CHECK_THROWS_AS(add_event(store.db, run, std::nullopt, "loud", "x", "y"), SqlError);
  CHECK_THROWS_AS(add_event(store.db, run, std::nullopt, "info", "x", "y", "{"), SqlError);
}
