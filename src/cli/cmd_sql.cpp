#include <iostream>

#include "cli/command.hpp"
#include "cli/command_options.hpp"
#include "core/error.hpp"
#include "store/queries.hpp"

namespace plumb::cli {

int sql_command(const Arguments& given) {
  Arguments arguments = given;
  const std::string format = take_value(arguments, "format");
  OptionValues values;
  if (!format.empty()) values.set("format", format, "command line");
  const auto options = values.read<SqlOptions>("");

  std::vector<std::string> positional;
  std::vector<std::pair<std::string, std::string>> parameters;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (argument.rfind("--", 0) != 0) {
      positional.push_back(argument);
    } else if (equals != std::string::npos) {
      parameters.emplace_back(argument.substr(2, equals - 2), argument.substr(equals + 1));
    } else {
      throw UsageError(
          cat("command line: '", argument, "': query parameters are given as --name=value"));
    }
  }
  if (positional.empty())
    throw UsageError("no database given; usage: plumb sql DB [QUERY | @name]");
  if (positional.size() > 2) throw_unexpected(positional[2]);
  const store::Database db = store::Database::open_reader(positional[0]);
  if (positional.size() == 1) {
    for (const store::StockQuery& query : store::stock_queries())
      std::cout << "@" << query.name << "  " << query.summary << "\n";
    return 0;
  }
  const std::string& query = positional[1];
  const std::string sql =
      query.rfind('@', 0) == 0 ? store::stock_query(query.substr(1)).sql : query;
  std::cout << store::format_table(store::run_query(db, sql, parameters), options.format);
  return 0;
}

}  // namespace plumb::cli
