#include "pipeline/degraded_rollout.hpp"

#include <cstring>

#include "core/error.hpp"
#include "pipeline/filtered_prompts.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/run_prompts.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

std::uint64_t address_of(const store::PromptRow& prompt) {
  const std::string hash = store::prompt_sha256(prompt);
  std::uint64_t value = 0;
  std::memcpy(&value, hash.data(), sizeof value);
  return value;
}

store::PromptRow spoilt(const RunContext& context, const store::Iteration& iteration,
                        const store::PromptRow& prompt) {
  const RandomStream stream(static_cast<std::uint64_t>(context.run.seed),
                            static_cast<std::uint64_t>(iteration.index), address_of(prompt));
  const std::vector<Message> messages =
      degraded(messages_of(prompt), context.config.degrade, stream);
  store::PromptRow out = prompt;
  out.split = kDegraded;
  out.messages = messages_json(messages);
  out.text = context.chat().render(messages, true).text;
  out.ids = context.chat().encode(context.tokenizer(), messages, true);
  return out;
}

}  // namespace

void sample_degraded(RunContext& context, const store::Iteration& iteration) {
  const std::int64_t run = context.run.id;
  auto prompts = store::run_prompts(context.db, run, "train", iteration.index);
  leave_out_resting(context, iteration, prompts);
  auto shown = store::run_prompts(context.db, run, kDegraded, iteration.index);
  if (shown.empty()) {
    store::Transaction transaction(context.db);
    std::vector<std::int64_t> ids;
    for (const store::PromptRow& prompt : prompts)
      ids.push_back(store::add_prompt(context.db, spoilt(context, iteration, prompt)));
    store::set_run_prompts(context.db, run, kDegraded, iteration.index, ids);
    transaction.commit();
    shown = store::run_prompts(context.db, run, kDegraded, iteration.index);
  }
  sample_prompts(context, iteration, kDegraded, prompts, shown, *iteration.policy_checkpoint_id,
                 context.config.rollout.samples_per_prompt, context.config.sampling, 1.0);
}

}  // namespace plumb
