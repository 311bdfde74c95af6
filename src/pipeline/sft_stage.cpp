#include "pipeline/sft_stage.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "losses/sft.hpp"
#include "pipeline/run_prompts.hpp"
#include "pipeline/training_run.hpp"
#include "text/dataset.hpp"

namespace plumb {
namespace {

/// Rows of the files as pairs that have a chosen side alone.
struct SftRows {
  std::vector<TrainingPair> pairs;
  std::vector<store::RejectedRow> rejected;
  std::int64_t answer_tokens = 0;
};

TrainingPair to_pair(const RunContext& context, const std::string& file, const DatasetRow& row) {
  TrainingPair pair;
  pair.prompt = make_prompt_row(context, file, row).ids;
  pair.chosen.ids = answer_ids(context, row.completion);
  return pair;
}

void read_file(const RunContext& context, const std::string& file, SftRows& out) {
  const Dataset dataset = read_run_dataset(context, file, DatasetKind::kSft, out.rejected);
  const std::size_t before = out.pairs.size();
  for (const DatasetRow& row : dataset.rows) {
    TrainingPair pair = to_pair(context, file, row);
    if (pair.tokens() > context.config.train.max_length) {
      const std::string reason =
          cat("prompt and answer of ", pair.tokens(), " tokens; train.max_length is ",
              context.config.train.max_length);
      if (context.config.data.truncation == "error") {
        throw DataError(cat(file, ":", row.line, ": ", reason,
                            ". Shorten it, or set data.truncation = drop to leave it out"));
      }
      out.rejected.push_back({file, row.line, "too_long: " + reason});
      continue;
    }
    pair.id = row.line;
    out.answer_tokens += static_cast<std::int64_t>(pair.chosen.ids.size());
    out.pairs.push_back(std::move(pair));
  }
  log::info(cat(file, ": ", out.pairs.size() - before, " rows for the supervised stage (",
                dataset.mapping, ")"));
}

/// Once: which files were learnt, and the rows that were not.
void store_facts(RunContext& context, const store::Iteration& iteration, const SftRows& rows) {
  auto known = context.db.prepare("SELECT 1 FROM events WHERE iteration_id=? AND kind='sft'");
  if (known.bind(iteration.id).step()) return;
  nlohmann::json files = nlohmann::json::object();
  for (const std::string& file : context.config.sft.data) files[file] = sha256_hex_of_file(file);
  const std::string message =
      cat("supervised stage: ", rows.pairs.size(), " rows, ", rows.answer_tokens,
          " answer tokens, ", rows.rejected.size(), " rows left out");
  log::info(message);
  store::Transaction transaction(context.db);
  store::add_rejected_rows(context.db, context.run.id, rows.rejected);
  store::add_event(context.db, context.run.id, iteration.id, "info", "sft", message, files.dump());
  transaction.commit();
}

TrainOptions train_options(const RunConfig& config) {
  TrainOptions options = config.train;
  options.learning_rate = config.sft.learning_rate;
  options.lr_scheduler_type = config.sft.lr_scheduler_type;
  options.warmup_steps = config.sft.warmup_steps;
  options.num_train_epochs = config.sft.num_train_epochs;
  options.max_steps = config.sft.max_steps;
  options.batch_size = config.sft.batch_size;
  return options;
}

}  // namespace

void run_sft_stage(RunContext& context, store::Iteration& iteration) {
  expects(iteration.policy_checkpoint_id.has_value(), "an iteration with a base model");
  if (iteration.result_checkpoint_id) return;
  SftRows rows;
  for (const std::string& file : context.config.sft.data) read_file(context, file, rows);
  store_facts(context, iteration, rows);
  if (rows.pairs.empty())
    throw DataError("sft.data: no row with a prompt and an answer is left to train on");

  const SftLoss loss{SftOptions{}};
  Trainer trainer(context.trainable(*iteration.policy_checkpoint_id), loss,
                  train_options(context.config), rows.pairs,
                  static_cast<std::uint64_t>(context.run.seed));
  run_training(context, iteration, trainer, [](const StepResult&) {});
  context.begin_at(*iteration.result_checkpoint_id);
}

}  // namespace plumb
