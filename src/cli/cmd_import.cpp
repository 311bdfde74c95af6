#include <iostream>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "core/strings.hpp"
#include "pipeline/imported_pairs.hpp"
#include "pipeline/iterations.hpp"
#include "store/queries.hpp"

namespace plumb::cli {
namespace {

/// Pair sets of imported pairs, for the terminal.
void print_pair_sets(const RunContext& context) {
  std::cout << store::format_table(
      store::run_query(context.db,
                       "SELECT i.idx AS iteration, t.name AS pair_set, count(*) AS pairs, "
                       "count(DISTINCT q.prompt_id) AS prompts, sum(c.n_tokens) AS chosen_tokens, "
                       "sum(r.n_tokens) AS rejected_tokens FROM pair_sets t JOIN iterations i "
                       "USING(iteration_id) JOIN pairs q USING(pair_set_id) JOIN samples c ON "
                       "c.sample_id=q.chosen_id JOIN samples r ON r.sample_id=q.rejected_id WHERE "
                       "i.run_id=:run AND t.strategy='import' GROUP BY t.pair_set_id ORDER BY 1, 2",
                       {{"run", std::to_string(context.run.id)}}),
      "table");
  auto rejected = context.db.prepare("SELECT count(*) FROM rejected_rows WHERE run_id=?");
  rejected.bind(context.run.id).step();
  if (rejected.integer(0) > 0)
    std::cout << rejected.integer(0) << " rows were not used: plumb sql "
              << context.db.file().string() << " @rejected\n";
}

}  // namespace

int import_command(const Arguments& given) {
  Arguments arguments = given;
  const std::string database = take_value(arguments, "db");
  const std::string model = take_value(arguments, "model");
  if (database.empty()) throw UsageError("--db is not set: give the run's database, FOLDER/run.db");
  if (!model.empty()) arguments.push_back("--model.path=" + model);

  Config from_arguments(run_option_table());
  const Arguments files = from_arguments.load_command_line(arguments);
  if (files.empty())
    throw UsageError("no file given; usage: plumb import FILE ... --db DB [--model M]");
  const std::string name = from_arguments.is_set("run.name") ? from_arguments.text("run.name") : "";
  Config config(run_option_table());
  const bool is_stored = load_stored_config(database, name, config);
  if (!is_stored) {
    config.load_value("data.pairs", join(files, ", "), "plumb import");
    config.load_value("run.iterations", "1", "plumb import");
  }
  // Rows that cannot be used are counted and stored with their reason.
  config.load_value("data.bad_rows", "skip", "plumb import");
  config.load_value("data.truncation", "drop", "plumb import");
  config.load_command_line(arguments);
  RunContext context(RunConfig::from(config.values()), is_stored ? "import" : "");
  store_run_prompts(context);
  if (is_stored && context.config.data.pairs != files)
    import_pair_set(context, files, current_iteration(context));
  print_pair_sets(context);
  return 0;
}

}  // namespace plumb::cli
