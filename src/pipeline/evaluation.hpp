#pragma once
#include <map>
#include <string>
#include <vector>

#include "pipeline/run_context.hpp"
#include "store/samples.hpp"

namespace plumb {

/// Names of the evaluation suites.
inline constexpr const char* kHeldout =
    "heldout";  // at the training temperature: the primary number
inline constexpr const char* kHeldoutCool =
    "heldout-cool";  // at eval.cool_temperature: shows what is mere sharpening

/// A suite's responses with the primary module's scores and components, by prompt.
struct SuiteResults {
  std::vector<store::SampleRow> samples;
  std::map<std::int64_t, double> score_of_sample;
  std::map<std::int64_t, double> mean_by_prompt;  // prompts with at least one score
  std::map<std::string, double> component_means;  // numeric components, over samples
};
SuiteResults load_suite(const RunContext& context, std::int64_t iteration_id,
                        const std::string& suite, std::int64_t module_id);

/// Per-iteration table of a run's evaluations for the terminal: one row an iteration, one block a
/// suite.
std::string evaluation_table(const store::Database& db, std::int64_t run_id);

}  // namespace plumb
