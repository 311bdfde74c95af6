#include <filesystem>
#include <iostream>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "core/strings.hpp"
#include "losses/registry.hpp"
#include "pipeline/run_options.hpp"
#include "rewards/registry.hpp"
#include "store/queries.hpp"
#include "text/chat_template.hpp"

namespace plumb::cli {
namespace {

/// A line of a list: name, what it is, and in parentheses where it comes from.
void print_row(const std::string& name, const std::string& summary, const std::string& origin) {
  constexpr std::size_t kNameWidth = 12;
  std::cout << name << std::string(name.size() < kNameWidth ? kNameWidth - name.size() : 1, ' ')
            << summary << (origin.empty() ? "" : "  (" + origin + ")") << "\n";
}

std::string paper(const std::string& number) { return number.empty() ? "" : "arXiv " + number; }

void list_losses() {
  std::cout << "losses, --loss.name=NAME\n";
  for (const LossEntry& entry : losses())
    print_row("  " + entry.name, entry.summary, paper(entry.paper));
  std::cout << "modifiers of any loss, --loss.modifier=NAME[,NAME]\n";
  for (const ModifierEntry& entry : modifiers())
    print_row("  " + entry.name, entry.summary, paper(entry.paper));
}

void list_rewards() {
  for (const RewardEntry& entry : reward_modules()) {
    const std::string unit = "unit " + entry.info.unit;
    print_row(entry.info.name, entry.info.summary,
              entry.info.source.empty() ? unit : entry.info.source + "; " + unit);
  }
}

void list_templates() {
  for (const std::string& name : ChatTemplate::names()) std::cout << name << "\n";
}

/// Models below models/ and runs/.
void list_models() {
  namespace fs = std::filesystem;
  for (const char* root : {"models", "runs"}) {
    if (!fs::is_directory(root)) continue;
    for (const auto& entry :
         fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied)) {
      if (entry.path().filename() == "config.json")
        std::cout << entry.path().parent_path().string() << "\n";
      if (entry.path().extension() == ".gguf") std::cout << entry.path().string() << "\n";
    }
  }
}

void list_queries() {
  for (const store::StockQuery& query : store::stock_queries())
    std::cout << "@" << query.name << "  " << query.summary << "\n";
}

void list_options() { std::cout << describe_options(run_option_table()); }

}  // namespace

int list_command(const Arguments& arguments) {
  static const std::vector<std::pair<std::string, void (*)()>> lists{
      {"losses", list_losses}, {"rewards", list_rewards}, {"templates", list_templates},
      {"models", list_models}, {"queries", list_queries}, {"options", list_options}};
  std::vector<std::string> names;
  for (const auto& [name, print] : lists) {
    if (arguments.size() == 1 && arguments[0] == name) {
      print();
      return 0;
    }
    names.push_back(name);
  }
  throw UsageError(cat("plumb list: expected one of ", join(names, ", ")));
}

}  // namespace plumb::cli
