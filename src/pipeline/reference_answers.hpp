#pragma once
#include <map>
#include <string>
#include <vector>

#include "pipeline/run_context.hpp"

namespace plumb {

/// Reference answers from files of their own (data.references), for prompts whose rows give none.
class ReferenceAnswers {
 public:
  /// Reads the files: prompts with an answer in any form of read_dataset. Of several answers to a
  /// prompt the first counts. Rows that cannot be read, or without an answer, are stopped at or
  /// added to `rejected` as data.bad_rows says. Throws DataError.
  ReferenceAnswers(const RunContext& context, std::vector<store::RejectedRow>& rejected);

  /// Gives the prompt the answer of its messages, if it has none and there is one.
  void fill(store::PromptRow& prompt) const;

 private:
  std::map<std::string, std::string> answers_;  // by the prompt's messages as they are stored
};

}  // namespace plumb
