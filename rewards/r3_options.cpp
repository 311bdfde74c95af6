#include "rewards/r3_options.hpp"

#include "core/error.hpp"

namespace plumb {
namespace {

struct Mode {
  const char* name;
  R3Parts parts;  // relevance, length, repetition, branching, random kinds
};

constexpr Mode kModes[] = {
    {"r3", {true, true, true, true, false}},
    {"r_x", {true, false, false, false, false}},
    {"relevance", {true, false, false, true, false}},
    {"li", {false, true, false, false, false}},
    {"rp", {false, false, true, false, false}},
    {"li*rp", {false, true, true, false, false}},
    {"r_x*li", {true, true, false, false, false}},
    {"r_x*rp", {true, false, true, false, false}},
    {"open_only", {true, true, true, false, false}},
    {"random_qtype", {true, true, true, true, true}},
};

}  // namespace

std::vector<std::string> R3Options::mode_names() {
  std::vector<std::string> names;
  for (const Mode& mode : kModes) names.emplace_back(mode.name);
  return names;
}

R3Parts r3_parts(const R3Options& options) {
  for (const Mode& mode : kModes) {
    if (options.mode != mode.name) continue;
    R3Parts parts = mode.parts;
    parts.relevance = parts.relevance && options.relevance_scaling;
    parts.length = parts.length && options.length_incentive;
    parts.repetition = parts.repetition && options.repetition_penalty;
    parts.branching = parts.branching && options.reward_branching && parts.relevance;
    return parts;
  }
  throw UsageError(cat("r3.mode = ", options.mode, ": unknown"));
}

bool measures_dot(const R3Options& options) {
  return options.backend == "encoder" && options.similarity == "dot";
}

}  // namespace plumb
