#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/run_context.hpp"
#include "pipeline/statistics.hpp"
#include "store/samples.hpp"

namespace plumb {

/// Names of the evaluation suites.
inline constexpr const char* kHeldout =
    "heldout";  // at the training temperature: the primary number
inline constexpr const char* kHeldoutCool =
    "heldout-cool";  // at eval.cool_temperature: shows what is mere sharpening

/// Suites of samples steered by the run's guides are named this and their scale.
inline constexpr const char* kGuided = "heldout-guided-";

/// A suite's responses with the primary module's scores and components, by prompt.
struct SuiteResults {
  std::vector<store::SampleRow> samples;
  std::map<std::int64_t, double> score_of_sample;
  std::map<std::int64_t, double> mean_by_prompt;  // prompts with at least one score
  std::map<std::string, double> component_means;  // numeric components, over samples
};
SuiteResults load_suite(const RunContext& context, std::int64_t iteration_id,
                        const std::string& suite, std::int64_t module_id);

/// Writes metrics of one suite and policy.
class EvaluationRecorder {
 public:
  EvaluationRecorder(RunContext& context, const store::Iteration& iteration,
                     std::int64_t checkpoint_id, std::string suite);
  /// A value that is not finite is left out.
  void add(const std::string& metric, double value, std::int64_t n,
           std::optional<Interval> interval = std::nullopt);
  /// Mean over items with its bootstrap interval; nothing if there are none.
  void add_mean(const std::string& metric, std::span<const double> items);

 private:
  RunContext& context_;
  const store::Iteration& iteration_;
  std::int64_t checkpoint_id_;
  std::string suite_;
};

/// Per-iteration table of a run's evaluations for the terminal: one row an iteration, one block a
/// suite.
std::string evaluation_table(const store::Database& db, std::int64_t run_id);

}  // namespace plumb
