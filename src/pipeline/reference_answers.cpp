#include "pipeline/reference_answers.hpp"

#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/run_prompts.hpp"

namespace plumb {

ReferenceAnswers::ReferenceAnswers(const RunContext& context,
                                   std::vector<store::RejectedRow>& rejected) {
  for (const std::string& file : context.config.data.references) {
    const Dataset dataset = read_run_dataset(context, file, DatasetKind::kPrompt, rejected);
    std::int64_t without = 0;
    for (const DatasetRow& row : dataset.rows) {
      if (!row.reference || row.reference->empty()) {
        const std::string reason = "no_answer: the row has a prompt, but no reference answer";
        if (context.config.data.bad_rows == "error")
          throw DataError(cat(file, ":", row.line, ": ", reason,
                              ". Take the row out, or leave such rows out with data.bad_rows = "
                              "skip"));
        rejected.push_back({file, row.line, reason});
        ++without;
        continue;
      }
      answers_.try_emplace(make_prompt_row(context, file, row).messages, *row.reference);
    }
    log::info(cat(file, ": reference answers (", dataset.mapping, ")",
                  without > 0 ? cat(", ", without, " rows without one left out") : ""));
  }
}

void ReferenceAnswers::fill(store::PromptRow& prompt) const {
  if (prompt.reference_answer) return;
  const auto found = answers_.find(prompt.messages);
  if (found != answers_.end()) prompt.reference_answer = found->second;
}

}  // namespace plumb
