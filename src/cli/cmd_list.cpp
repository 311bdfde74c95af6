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

void list_losses() {
  for (const LossEntry& entry : losses())
    std::cout << entry.name << "  " << entry.summary << "  (" << entry.paper << ")\n";
}

void list_rewards() {
  for (const RewardEntry& entry : reward_modules())
    std::cout << entry.info.name << "  " << entry.info.summary << "  (" << entry.info.source
              << "; unit " << entry.info.unit << ")\n";
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
