#include "config/config.hpp"

#include <boost/program_options.hpp>
#include <fstream>
#include <set>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace po = boost::program_options;
namespace {

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

std::string section_of(const std::string& key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

std::string limits(const Option& option) {
  if (!option.choices.empty()) return " {" + join(option.choices, "|") + "}";
  if (option.range) return cat(" [", option.range->low, " .. ", option.range->high, "]");
  return "";
}

}  // namespace

Config::Config(std::vector<Option> options) : options_(std::move(options)) {
  std::set<std::string> seen;
  for (const Option& option : options_)
    expects(seen.insert(option.key).second, "option keys to be unique");
}

const Option& Config::resolve(const std::string& name, const std::string& origin) const {
  for (const Option& option : options_) {
    if (option.key == name) return option;
  }
  for (const auto& [alias, key] : option_aliases()) {
    if (alias == name) return resolve(key, origin);
  }
  std::vector<const Option*> matches;
  std::vector<std::string> known;
  for (const Option& option : options_) {
    if (last_part(option.key) == name) matches.push_back(&option);
    known.push_back(option.key);
  }
  if (matches.size() == 1) return *matches.front();
  if (matches.size() > 1) {
    std::vector<std::string> keys;
    for (const Option* match : matches) keys.push_back(match->key);
    throw UsageError(cat(origin, ": option '", name, "' could mean ", join(keys, ", "),
                         "; write it with its section"));
  }
  std::string nearest = nearest_name(name, known);
  if (nearest.empty()) {
    std::vector<std::string> parts;
    for (const std::string& key : known) parts.push_back(last_part(key));
    const std::string part = nearest_name(last_part(name), parts);
    for (const std::string& key : known) {
      if (!part.empty() && last_part(key) == part) nearest = key;
    }
  }
  throw UsageError(cat(origin, ": unknown option '", name, "'",
                       nearest.empty() ? "" : cat(" (did you mean '", nearest, "'?)"),
                       "; `plumb list options` shows all"));
}

void Config::set(const std::string& name, const std::string& text, const std::string& origin) {
  const Option& option = resolve(name, origin);
  check_value(option, {text, origin});
  values_.set(option.key, text, origin);
}

void Config::load_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file))
    throw DataError(cat(file.string(), ": config file cannot be read"));
  const std::string origin = file.string();
  try {
    std::set<std::string> seen;
    for (const po::option& option :
         po::parse_config_file(in, po::options_description(), true).options) {
      const Option& known = resolve(option.string_key, origin);
      if (!seen.insert(known.key).second)
        throw UsageError(cat(origin, ": option '", known.key, "' is set twice"));
      set(known.key, option.value.empty() ? "" : option.value.front(), origin);
    }
  } catch (const po::error& error) {
    throw UsageError(
        cat(origin, ": ", error.what(), "; expected lines of the form [section] and key = value"));
  }
}

std::vector<std::string> Config::load_command_line(const std::vector<std::string>& arguments) {
  std::vector<std::string> positional;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 3 || argument.rfind("--", 0) != 0) {
      if (argument.size() > 1 && argument[0] == '-' && argument != "--") {
        throw UsageError(
            cat("command line: '", argument, "' is no option; long options start with --"));
      }
      if (argument != "--") positional.push_back(argument);
      continue;
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (equals != std::string::npos) {
      set(name, argument.substr(equals + 1), "command line");
    } else if (resolve(name, "command line").type == "bool") {
      set(name, "true", "command line");
    } else if (i + 1 < arguments.size()) {
      set(name, arguments[++i], "command line");
    } else {
      throw UsageError(cat("command line: --", name, " needs a value"));
    }
  }
  return positional;
}

std::string Config::text(const std::string& key) const {
  if (const OptionValue* value = values_.find(key)) return value->text;
  return resolve(key, "program").default_value;
}

std::vector<std::pair<std::string, std::string>> Config::effective() const {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Option& option : options_) pairs.emplace_back(option.key, text(option.key));
  return pairs;
}

std::string Config::dump() const {
  std::string out, section;
  for (const Option& option : options_) {
    if (section_of(option.key) != section) {
      section = section_of(option.key);
      out += cat(out.empty() ? "" : "\n", "[", section, "]\n");
    }
    const OptionValue* value = values_.find(option.key);
    out += cat(last_part(option.key), " = ", text(option.key), "  # ",
               value != nullptr ? value->origin : "default", "\n");
  }
  return out;
}

std::string describe_options(const std::vector<Option>& options) {
  std::string out, section;
  for (const Option& option : options) {
    if (section_of(option.key) != section) {
      section = section_of(option.key);
      out += cat("\n[", section, "]\n");
    }
    const std::string head =
        cat("  --", option.key, "=", option.default_value.empty() ? "\"\"" : option.default_value,
            limits(option));
    out += head + "\n        " + option.help + "\n";
  }
  return out;
}

}  // namespace plumb
