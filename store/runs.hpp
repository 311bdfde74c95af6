#pragma once
#include <optional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

struct Run {
  std::int64_t id = 0;
  std::string uuid, name, status;  // running, done, failed, aborted
  std::int64_t seed = 0;
  std::string config;  // JSON object {section: {name: value}} of every effective option
};
/// @return id. `uuid` comes from the system's random source.
std::int64_t create_run(Database& db, const std::string& name, std::int64_t seed,
                        const std::string& tool_version, const std::string& config);
/// The newest run with this name.
std::optional<Run> find_run(const Database& db, const std::string& name);
/// The run that was begun last.
std::optional<Run> newest_run(const Database& db);
/// Whether the run has sampled, evaluated or trained anything, or ended an iteration; imported
/// responses alone are no work.
bool has_work(const Database& db, std::int64_t run_id);
/// Removes a run with all that hangs on it.
void remove_run(Database& db, std::int64_t run_id);
void set_run_status(Database& db, std::int64_t run_id, const std::string& status);
void set_run_config(Database& db, std::int64_t run_id, const std::string& config);

struct CheckpointRow {
  std::int64_t id = 0;
  std::optional<std::int64_t> run_id;
  std::string role;  // policy, reference, reward, base
  std::string path;
  std::string sha256;
  std::optional<std::int64_t> bytes, global_step, parent_id;
};
std::int64_t add_checkpoint(Database& db, const CheckpointRow& row);
std::optional<CheckpointRow> find_checkpoint(const Database& db, std::int64_t id);
/// A checkpoint of the run with this role and content hash.
std::optional<CheckpointRow> find_checkpoint(const Database& db, std::int64_t run_id,
                                             const std::string& role, const std::string& sha256);

/// Iteration 0 stands for the initial policy (evaluated, never trained); iterations 1.. sample,
/// train and evaluate.
struct Iteration {
  std::int64_t id = 0, run_id = 0, index = 0;
  std::string phase;  // rollout, score, pair, annotate, train, eval, done
  std::optional<std::int64_t> policy_checkpoint_id;     // what this iteration samples from
  std::optional<std::int64_t> reference_checkpoint_id;  // what its loss is anchored to
  std::optional<std::int64_t> result_checkpoint_id;     // the policy it produced
};
std::optional<Iteration> find_iteration(const Database& db, std::int64_t run_id,
                                        std::int64_t index);
std::int64_t create_iteration(Database& db, const Iteration& iteration,
                              const std::string& sampling_json);
void set_iteration_phase(Database& db, std::int64_t iteration_id, const std::string& phase);
void set_iteration_result(Database& db, std::int64_t iteration_id, std::int64_t checkpoint_id);
/// Iterations of a run, ascending.
std::vector<Iteration> iterations(const Database& db, std::int64_t run_id);

/// A line in `events`: something a person should be able to find later. level: debug, info, warn,
/// error.
void add_event(Database& db, std::optional<std::int64_t> run_id,
               std::optional<std::int64_t> iteration_id, const std::string& level,
               const std::string& kind, const std::string& message,
               const std::string& data_json = "");

}  // namespace plumb::store
