#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pipeline/reference_answers.hpp"
#include "pipeline/run_prompts.hpp"
#include "store/pairs.hpp"

/// Preference data from files: pairs that nobody sampled in this run. Their responses hang on
/// iteration 0, once for each text; the pair sets of later iterations refer to them.
namespace plumb {

inline constexpr const char* kImportSuite = "import";          // responses that are trained on
inline constexpr const char* kImportedPairs = "import";        // pair set of all of them
inline constexpr const char* kHeldoutPairs = "heldout-pairs";  // suite and pair set of the others

/// A response of a preference file.
struct ImportedResponse {
  std::string text;
  std::vector<std::int32_t> ids;  // with the token that ends an answer
};
struct ImportedPair {
  std::string file;
  std::int64_t line = 0;
  ImportedResponse chosen, rejected;
  double margin = 0.0;                   // difference of the row's scores, 0 if it has none
  std::vector<store::PairSpan> spans{};  // the row's key spans in tokens, pair_id still 0
};
struct PairPool {
  PromptPool prompts;                                      // each once, in the order of the files
  std::map<std::string, std::vector<ImportedPair>> pairs;  // by prompt_sha256
  std::int64_t count = 0;
};

/// Reads preference files in any form of read_dataset and tokenizes them. Rows that give no pair
/// (unreadable, too long for the model's context, repeated, or with a prompt in `seen`) are stopped
/// at or kept with their reason as data.bad_rows and data.truncation say.
/// @param seen  prompts that are taken already, by prompt_sha256; receives the new ones
PairPool read_pair_files(const RunContext& context, const std::vector<std::string>& files,
                         const ReferenceAnswers& references, std::set<std::string>& seen);

/// Where pairs are stored.
struct PairPlace {
  std::int64_t iteration_id = 0;
  std::string set, suite;
};
/// Stores the pairs of these prompts as samples and a pair set; responses that are there already
/// are used again. Nothing is stored if no prompt has a pair.
/// @param prompts  stored prompts without their ids @return pairs in the set
std::int64_t store_pairs(RunContext& context, const PairPlace& place, const PairPool& pool,
                         const std::vector<store::PromptRow>& prompts);

/// Adds preference files as one more pair set (pair.set) of an iteration of a run that samples its
/// own; `plumb train` with that pair.set then trains on it. Importing the same files again changes
/// nothing. Throws UsageError if the iteration has another set of this name.
void import_pair_set(RunContext& context, const std::vector<std::string>& files,
                     const store::Iteration& iteration);

/// Prompts of the imported training pairs in the order of the files; empty if none are stored.
std::vector<std::int64_t> imported_prompts(const RunContext& context);

/// Makes the iteration's pair set out of the imported pairs of its prompts, with their spans.
void take_imported_pairs(RunContext& context, const store::Iteration& iteration);

}  // namespace plumb
