#include "store/runs.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <random>

#include "core/clock.hpp"

namespace plumb::store {
namespace {

/// Version 4 UUID (RFC 4122).
std::string random_uuid() {
  std::random_device source;
  std::array<unsigned, 4> words{source(), source(), source(), source()};
  words[1] = (words[1] & 0xffff0fffU) | 0x00004000U;
  words[2] = (words[2] & 0x3fffffffU) | 0x80000000U;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-%04x-%04x-%04x%08x", words[0], words[1] >> 16,
                words[1] & 0xffffU, words[2] >> 16, words[2] & 0xffffU, words[3]);
  return text.data();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

const std::string kRunColumns = "SELECT run_id, uuid, name, status, seed, config FROM runs ";

std::optional<Run> read_run(Statement& query) {
  if (!query.step()) return std::nullopt;
  Run run;
  run.id = query.integer(0);
  run.uuid = query.text(1);
  run.name = query.text(2);
  run.status = query.text(3);
  run.seed = query.integer(4);
  run.config = query.text(5);
  return run;
}

constexpr const char* kCheckpointColumns =
    "SELECT checkpoint_id, run_id, role, path, sha256, bytes, global_step, parent_checkpoint_id "
    "FROM checkpoints ";

std::optional<CheckpointRow> read_checkpoint(Statement& query) {
  if (!query.step()) return std::nullopt;
  CheckpointRow row;
  row.id = query.integer(0);
  row.run_id = query.optional_integer(1);
  row.role = query.text(2);
  row.path = query.text(3);
  row.sha256 = query.text(4);
  row.bytes = query.optional_integer(5);
  row.global_step = query.optional_integer(6);
  row.parent_id = query.optional_integer(7);
  return row;
}

constexpr const char* kIterationColumns =
    "SELECT iteration_id, run_id, idx, phase, policy_checkpoint_id, ref_checkpoint_id, "
    "result_checkpoint_id FROM iterations ";

Iteration read_iteration(const Statement& row) {
  Iteration out;
  out.id = row.integer(0);
  out.run_id = row.integer(1);
  out.index = row.integer(2);
  out.phase = row.text(3);
  out.policy_checkpoint_id = row.optional_integer(4);
  out.reference_checkpoint_id = row.optional_integer(5);
  out.result_checkpoint_id = row.optional_integer(6);
  return out;
}

/// An UPDATE that must hit one row.
void update_one(Statement&& update, const char* what) {
  if (update.run() != 1) throw InternalError(cat("store: no such ", what));
}

}  // namespace

std::int64_t create_run(Database& db, const std::string& name, std::int64_t seed,
                        const std::string& tool_version, const std::string& config) {
  db.prepare(
        "INSERT INTO runs(uuid, name, seed, tool_version, host, config) VALUES(:uuid, :name, "
        ":seed, :tool_version, :host, :config)")
      .bind(random_uuid(), name, seed, tool_version, host_name(), config)
      .run();
  return db.last_insert_id();
}

std::optional<Run> find_run(const Database& db, const std::string& name) {
  Statement query = db.prepare(kRunColumns + "WHERE name=? ORDER BY run_id DESC LIMIT 1");
  query.bind(name);
  return read_run(query);
}

std::optional<Run> newest_run(const Database& db) {
  Statement query = db.prepare(kRunColumns + "ORDER BY run_id DESC LIMIT 1");
  return read_run(query);
}

bool has_work(const Database& db, std::int64_t run_id) {
  Statement query = db.prepare(
      "SELECT EXISTS (SELECT 1 FROM samples JOIN iterations USING(iteration_id) WHERE "
      "iterations.run_id=:run AND samples.source<>'dataset') OR EXISTS (SELECT 1 FROM iterations "
      "WHERE run_id=:run AND phase='done') OR EXISTS (SELECT 1 FROM steps WHERE "
      "steps.run_id=:run) OR EXISTS (SELECT 1 FROM reference_logps JOIN samples USING(sample_id) "
      "JOIN iterations USING(iteration_id) WHERE iterations.run_id=:run)");
  query.bind(run_id).step();
  return query.integer(0) == 1;
}

void remove_run(Database& db, std::int64_t run_id) {
  db.prepare("DELETE FROM runs WHERE run_id=?").bind(run_id).run();
}

void set_run_status(Database& db, std::int64_t run_id, const std::string& status) {
  Statement update =
      db.prepare("UPDATE runs SET status=:status, finished_at=:finished_at WHERE run_id=:run");
  update.bind(status, status == "running" ? std::nullopt : std::optional(utc_now()), run_id);
  update_one(std::move(update), "run");
}

void set_run_config(Database& db, std::int64_t run_id, const std::string& config) {
  Statement update = db.prepare("UPDATE runs SET config=:config WHERE run_id=:run");
  update.bind(config, run_id);
  update_one(std::move(update), "run");
}

std::int64_t add_checkpoint(Database& db, const CheckpointRow& row) {
  db.prepare(
        "INSERT INTO checkpoints(run_id, role, path, sha256, bytes, global_step, "
        "parent_checkpoint_id) "
        "VALUES(:run, :role, :path, :sha256, :bytes, :global_step, :parent)")
      .bind(row.run_id, row.role, row.path, row.sha256, row.bytes, row.global_step, row.parent_id)
      .run();
  return db.last_insert_id();
}

std::optional<CheckpointRow> find_checkpoint(const Database& db, std::int64_t id) {
  Statement query = db.prepare(std::string(kCheckpointColumns) + "WHERE checkpoint_id=?");
  query.bind(id);
  return read_checkpoint(query);
}

std::optional<CheckpointRow> find_checkpoint(const Database& db, std::int64_t run_id,
                                             const std::string& role, const std::string& sha256) {
  Statement query =
      db.prepare(std::string(kCheckpointColumns) +
                 "WHERE run_id=? AND role=? AND sha256=? ORDER BY checkpoint_id LIMIT 1");
  query.bind(run_id, role, sha256);
  return read_checkpoint(query);
}

std::optional<Iteration> find_iteration(const Database& db, std::int64_t run_id,
                                        std::int64_t index) {
  Statement query = db.prepare(std::string(kIterationColumns) + "WHERE run_id=? AND idx=?");
  if (!query.bind(run_id, index).step()) return std::nullopt;
  return read_iteration(query);
}

std::int64_t create_iteration(Database& db, const Iteration& iteration,
                              const std::string& sampling_json) {
  db.prepare(
        "INSERT INTO iterations(run_id, idx, phase, policy_checkpoint_id, ref_checkpoint_id, "
        "result_checkpoint_id, sampling) "
        "VALUES(:run, :idx, :phase, :policy, :reference, :result, :sampling)")
      .bind(iteration.run_id, iteration.index, iteration.phase, iteration.policy_checkpoint_id,
            iteration.reference_checkpoint_id, iteration.result_checkpoint_id, sampling_json)
      .run();
  return db.last_insert_id();
}

void set_iteration_phase(Database& db, std::int64_t iteration_id, const std::string& phase) {
  Statement update = db.prepare(
      "UPDATE iterations SET phase=:phase, finished_at=:finished_at WHERE iteration_id=:iteration");
  update.bind(phase, phase == "done" ? std::optional(utc_now()) : std::nullopt, iteration_id);
  update_one(std::move(update), "iteration");
}

void set_iteration_result(Database& db, std::int64_t iteration_id, std::int64_t checkpoint_id) {
  Statement update = db.prepare(
      "UPDATE iterations SET result_checkpoint_id=:checkpoint WHERE iteration_id=:iteration");
  update.bind(checkpoint_id, iteration_id);
  update_one(std::move(update), "iteration");
}

std::vector<Iteration> iterations(const Database& db, std::int64_t run_id) {
  Statement query = db.prepare(std::string(kIterationColumns) + "WHERE run_id=? ORDER BY idx");
  query.bind(run_id);
  std::vector<Iteration> out;
  while (query.step()) out.push_back(read_iteration(query));
  return out;
}

void add_event(Database& db, std::optional<std::int64_t> run_id,
               std::optional<std::int64_t> iteration_id, const std::string& level,
               const std::string& kind, const std::string& message, const std::string& data_json) {
  db.prepare(
        "INSERT INTO events(run_id, iteration_id, level, kind, message, data) VALUES(:run, "
        ":iteration, :level, :kind, :message, :data)")
      .bind(run_id, iteration_id, level, kind, message,
            data_json.empty() ? std::nullopt : std::optional(data_json))
      .run();
}

}  // namespace plumb::store
