#include "pipeline/run_prompts.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/rng.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/imported_pairs.hpp"
#include "pipeline/iterations.hpp"
#include "pipeline/reference_answers.hpp"
#include "text/dataset.hpp"

namespace plumb {
namespace {

std::int64_t longest_prompt(const RunContext& context) {
  const std::int64_t room =
      context.model_config().max_position_embeddings - context.config.sampling.max_new_tokens;
  if (room < 1) {
    throw UsageError(cat("rollout.max_new_tokens = ", context.config.sampling.max_new_tokens,
                         ": leaves no room for a prompt in the model's context of ",
                         context.model_config().max_position_embeddings, " tokens"));
  }
  const std::int64_t asked = context.config.data.max_prompt_length;
  return asked > 0 ? std::min(asked, room) : room;
}

/// Reads files into a pool; `seen` holds contents that are taken already.
PromptPool read_pool(const RunContext& context, const std::vector<std::string>& files,
                     const ReferenceAnswers& references, std::set<std::string>& seen) {
  PromptPool pool;
  const std::int64_t longest = longest_prompt(context);
  for (const std::string& file : files) {
    const Dataset dataset = read_run_dataset(context, file, DatasetKind::kPrompt, pool.rejected);
    std::int64_t too_long = 0;
    for (const DatasetRow& row : dataset.rows) {
      store::PromptRow prompt = make_prompt_row(context, file, row);
      references.fill(prompt);
      const auto length = static_cast<std::int64_t>(prompt.ids.size());
      if (length > longest) {
        const std::string reason =
            cat("prompt of ", length, " tokens; at most ", longest, " fit (context ",
                context.model_config().max_position_embeddings, ", rollout.max_new_tokens ",
                context.config.sampling.max_new_tokens, ")");
        if (context.config.data.truncation == "error") {
          throw DataError(
              cat(file, ":", row.line, ": ", reason,
                  ". Shorten it, or set data.truncation = drop to leave such prompts out"));
        }
        pool.rejected.push_back({file, row.line, "too_long: " + reason});
        ++too_long;
      } else if (!seen.insert(store::prompt_sha256(prompt)).second) {
        pool.rejected.push_back(
            {file, row.line, "duplicate: the same prompt stands in an earlier row"});
      } else {
        pool.prompts.push_back(std::move(prompt));
      }
    }
    log::info(cat(file, ": ", dataset.rows.size(), " prompts (", dataset.mapping, ")",
                  dataset.rejected.empty()
                      ? ""
                      : cat(", ", dataset.rejected.size(), " unreadable rows left out"),
                  too_long > 0 ? cat(", ", too_long, " too long left out") : ""));
  }
  return pool;
}

/// Takes `count` prompts out, from each kind in proportion; which ones depends on the run's seed
/// only.
std::vector<store::PromptRow> take_heldout(std::vector<store::PromptRow>& prompts,
                                           std::int64_t count, std::uint64_t seed) {
  std::map<std::string, std::vector<std::size_t>> by_kind;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    by_kind[prompts[i].kind.value_or("")].push_back(i);
  std::set<std::size_t> taken;
  const auto total = static_cast<double>(prompts.size());
  double share = 0.0;
  std::size_t due = 0;
  for (auto& [kind, indices] : by_kind) {
    shuffle(indices, RandomStream(seed, 0, mix64(due + 1)));
    share += static_cast<double>(indices.size()) / total * static_cast<double>(count);
    const auto upto = static_cast<std::size_t>(share + 0.5);
    for (std::size_t i = 0; due < upto && i < indices.size(); ++i, ++due) taken.insert(indices[i]);
  }
  std::vector<store::PromptRow> heldout, rest;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    (taken.count(i) > 0 ? heldout : rest).push_back(std::move(prompts[i]));
  prompts = std::move(rest);
  return heldout;
}

std::vector<std::int64_t> add_all(RunContext& context, std::vector<store::PromptRow>& prompts,
                                  const std::string& split) {
  std::vector<std::int64_t> ids;
  for (store::PromptRow& prompt : prompts) {
    prompt.split = split;
    ids.push_back(store::add_prompt(context.db, prompt));
  }
  return ids;
}

/// The training prompts of an iteration: consecutive slices of one shuffled order, from the start
/// again when it is used up.
std::vector<std::int64_t> slice_of(const std::vector<std::int64_t>& order, std::int64_t index,
                                   std::int64_t iterations, std::int64_t per_iteration) {
  const auto size = static_cast<std::int64_t>(order.size());
  std::int64_t begin = (index - 1) * per_iteration, end = begin + per_iteration;
  if (per_iteration == 0) {
    const std::int64_t parts = std::max<std::int64_t>(1, iterations);
    const std::int64_t part = (index - 1) % parts;
    begin = size * part / parts;
    end = size * (part + 1) / parts;
  }
  end = std::min(end, begin + size);
  std::vector<std::int64_t> out;
  for (std::int64_t i = begin; i < end; ++i)
    out.push_back(order[static_cast<std::size_t>(i % size)]);
  return out;
}

/// Reads the files of the run's data and stores held-out and training prompts, with their pairs if
/// these are imported. @return the training prompts in the order of the files
std::vector<std::int64_t> store_files(RunContext& context, bool first_time) {
  const DataOptions& data = context.config.data;
  std::set<std::string> seen;
  std::vector<store::RejectedRow> rejected;
  const ReferenceAnswers references(context, rejected);
  PromptPool heldout = read_pool(context, data.heldout_prompts, references, seen);
  PairPool pairs;
  if (context.config.imports_pairs())
    pairs = read_pair_files(context, data.pairs, references, seen);
  PromptPool train = context.config.imports_pairs()
                         ? std::move(pairs.prompts)
                         : read_pool(context, data.prompts, references, seen);
  if (data.heldout > 0) {
    if (data.heldout >= static_cast<std::int64_t>(train.prompts.size())) {
      throw UsageError(cat("data.heldout = ", data.heldout, ": leaves nothing of ",
                           train.prompts.size(), " prompts to train on"));
    }
    std::vector<store::PromptRow> taken =
        take_heldout(train.prompts, data.heldout, static_cast<std::uint64_t>(context.run.seed));
    std::move(taken.begin(), taken.end(), std::back_inserter(heldout.prompts));
  }
  if (train.prompts.empty() && context.config.run.iterations > 0)
    throw DataError("data.prompts, data.pairs: no prompt is left to train on");

  const std::vector<std::int64_t> heldout_ids = add_all(context, heldout.prompts, kHeldout);
  std::vector<std::int64_t> order = add_all(context, train.prompts, "train");
  if (first_time) {
    store::set_run_prompts(context.db, context.run.id, kHeldout, 0, heldout_ids);
    for (const PromptPool* pool : {&heldout, &train})
      rejected.insert(rejected.end(), pool->rejected.begin(), pool->rejected.end());
    store::add_rejected_rows(context.db, context.run.id, rejected);
  }
  log::info(cat("prompts: ", order.size(), " for training, ", heldout_ids.size(), " held out"));
  if (!data.references.empty()) {
    const auto answered = [](const PromptPool& pool) {
      return std::count_if(pool.prompts.begin(), pool.prompts.end(),
                           [](const store::PromptRow& one) { return one.reference_answer; });
    };
    log::info(cat("reference answers: for ", answered(train) + answered(heldout), " of ",
                  order.size() + heldout_ids.size(), " prompts"));
  }
  if (context.config.imports_pairs()) {
    const std::int64_t zero = ensure_iteration(context, 0).id;
    store_pairs(context, {zero, kImportedPairs, kImportSuite}, pairs, train.prompts);
    store_pairs(context, {zero, kHeldoutPairs, kHeldoutPairs}, pairs, heldout.prompts);
  }
  return order;
}

}  // namespace

void warn_of_rejected(std::span<const store::RejectedRow> rows) {
  constexpr std::size_t kShown = 3;
  for (const store::RejectedRow& row : rows.first(std::min(kShown, rows.size())))
    log::warn(cat(row.file, ":", row.line, ": left out: ", row.reason));
  if (rows.size() > kShown)
    log::warn(cat(rows[0].file, ": ", rows.size() - kShown,
                  " more rows left out; see the query "
                  "@rejected"));
}

Dataset read_run_dataset(const RunContext& context, const std::string& file, DatasetKind kind,
                         std::vector<store::RejectedRow>& rejected) {
  DatasetOptions options;
  options.kind = kind;
  options.strict = context.config.data.bad_rows == "error";
  Dataset dataset = read_dataset(file, options);
  for (const std::string& warning : dataset.warnings) log::warn(cat(file, ": ", warning));
  const std::size_t first = rejected.size();
  for (const RejectedLine& line : dataset.rejected)
    rejected.push_back({file, line.line, cat(line.code, ": ", line.reason)});
  warn_of_rejected({rejected.begin() + static_cast<std::ptrdiff_t>(first), rejected.end()});
  return dataset;
}

std::string messages_json(const std::vector<Message>& messages) {
  nlohmann::json out = nlohmann::json::array();
  for (const Message& message : messages)
    out.push_back({{"role", message.role}, {"content", message.content}});
  return out.dump();
}

store::PromptRow make_prompt_row(const RunContext& context, const std::string& file,
                                 const DatasetRow& row) {
  std::vector<Message> messages = row.messages;
  const std::string& system = context.config.model.system_prompt;
  if (!system.empty() && (messages.empty() || messages.front().role != "system"))
    messages.insert(messages.begin(), {"system", system});
  store::PromptRow prompt;
  prompt.dataset = std::filesystem::path(file).filename().string();
  prompt.external_id = row.name();
  prompt.kind = row.kind;
  prompt.reference_answer = row.reference;
  prompt.messages = messages_json(messages);
  prompt.text = context.chat().render(messages, true).text;
  prompt.ids = context.chat().encode(context.tokenizer(), messages, true);
  return prompt;
}

std::vector<Message> messages_of(const store::PromptRow& prompt) {
  std::vector<Message> messages;
  for (const nlohmann::json& message : nlohmann::json::parse(prompt.messages))
    messages.push_back({message.at("role"), message.at("content")});
  return messages;
}

std::vector<std::int32_t> answer_ids(const RunContext& context, const std::string& text) {
  std::vector<std::int32_t> ids = context.tokenizer().encode(text);
  const std::string mark = context.chat().end_of_turn();
  const auto end = mark.empty() ? std::nullopt : context.tokenizer().find(mark);
  if (end) {
    ids.push_back(*end);
  } else if (!context.end_ids().empty()) {
    ids.push_back(context.end_ids().front());
  }
  return ids;
}

void store_run_prompts(RunContext& context) {
  const DataOptions& data = context.config.data;
  const std::int64_t iterations = context.config.run.iterations;
  std::int64_t first_missing = 1;
  while (first_missing <= iterations &&
         !store::run_prompts(context.db, context.run.id, "train", first_missing).empty())
    ++first_missing;
  if (first_missing > iterations && iterations > 0) return;

  const auto seed = static_cast<std::uint64_t>(context.run.seed);
  store::Transaction transaction(context.db);
  std::vector<std::int64_t> order = imported_prompts(context);
  if (order.empty()) order = store_files(context, first_missing == 1);
  shuffle(order, RandomStream(seed, 0, 0));
  for (std::int64_t index = first_missing; index <= iterations; ++index) {
    store::set_run_prompts(context.db, context.run.id, "train", index,
                           slice_of(order, index, iterations, data.prompts_per_iteration));
  }
  transaction.commit();
}

}  // namespace plumb
