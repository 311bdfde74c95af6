#include <algorithm>

#include "cli/command.hpp"
#include "cli/command_options.hpp"
#include "cli/serve_models.hpp"
#include "core/error.hpp"
#include "pipeline/run_options.hpp"

namespace plumb::cli {
namespace {

constexpr const char* kConfigUsage = "CONFIG | --db DB [--section.key=value ...]";

template <class Options>
std::vector<Option> of() {
  return declared<Options>("");
}
std::vector<Option> none() { return {}; }

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> table{
      {"run", "CONFIG | --db DB [--section.key=value ...] [--dry-run] [--dump-config]",
       "the loop; goes on where it stopped", run_option_table, run_command, true},
      {"rollout", kConfigUsage, "sample responses for the current iteration", run_option_table,
       rollout_command, true},
      {"score", "CONFIG [--url URL] [--section.key=value ...]",
       "score responses that have no score yet; --url: also by the reward server there",
       run_option_table, score_command, true},
      {"pair", kConfigUsage,
       "choose pairs; --pair.set=NAME makes another set over the same samples", run_option_table,
       pair_command},
      {"annotate", kConfigUsage, "compute reference log-probs of the pairs", run_option_table,
       annotate_command, true},
      {"train", kConfigUsage, "update the policy on the pairs", run_option_table, train_command,
       true},
      {"eval", kConfigUsage, "compare the policy with the initial one on held-out prompts",
       run_option_table, eval_command, true},
      {"calibrate", kConfigUsage,
       "fit R^3's map F to the encoder, from a run's responses and reference answers",
       run_option_table, calibrate_command, true},
      {"import", "FILE ... --db DB [--model M] [--section.key=value ...]",
       "preference pairs of JSONL files into a run's database, a new run if there is none",
       run_option_table, import_command},
      {"generate", "--model M [--prompt TEXT] [options]", "chat with or sample from a model",
       of<GenerateOptions>, generate_command, true},
      {"tokenize", "--model M < LINES",
       "text or {\"text\"} / {\"messages\"} lines to {\"ids\", \"pieces\"}", of<TokenizeOptions>,
       tokenize_command},
      {"logprobs", "--model M < JSONL",
       "{\"prompt\",\"response\"} or {\"prompt_ids\",\"response_ids\"} to "
       "{\"token_logprobs\",\"sum\"}",
       of<LogprobsOptions>, logprobs_command, true},
      {"embed", "[--model M] < LINES", "lines of text to {\"embedding\"}", of<EmbedOptions>,
       embed_command, true},
      {"serve", "CONFIG [--section.key=value ...] [--dump-config]",
       "reward-scoring service over HTTP", serve_option_table, serve_command, true},
      {"sql", "DB [QUERY | @name] [--format F] [--param=value ...]",
       "read-only SQL; @name runs a stock query, no query lists them", of<SqlOptions>, sql_command},
      {"list", "losses|rewards|templates|models|queries|options", "what there is to choose from",
       none, list_command},
      {"doctor", "", "what this machine offers, and a self-test", none, doctor_command, true},
  };
  return table;
}

bool take_flag(Arguments& arguments, const std::string& name) {
  const auto it = std::find(arguments.begin(), arguments.end(), "--" + name);
  if (it == arguments.end()) return false;
  arguments.erase(it);
  return true;
}

std::string take_value(Arguments& arguments, const std::string& name) {
  const std::string flag = "--" + name;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].rfind(flag + "=", 0) == 0) {
      const std::string value = arguments[i].substr(flag.size() + 1);
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
      return value;
    }
    if (arguments[i] == flag) {
      if (i + 1 >= arguments.size())
        throw UsageError(cat("command line: ", flag, " needs a value"));
      const std::string value = arguments[i + 1];
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i),
                      arguments.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      return value;
    }
  }
  return "";
}

void throw_unexpected(const std::string& argument) {
  throw UsageError(cat("command line: unexpected argument '", argument, "'"));
}

}  // namespace plumb::cli
