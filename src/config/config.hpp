#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/options.hpp"

namespace plumb {

/// Options from three places: defaults, INI files (left to right), the command line. Later wins;
/// every value knows its origin.
class Config {
 public:
  /// @param options  everything that may be set; keys are unique
  explicit Config(std::vector<Option> options);

  /// Reads `[section]` / `key = value` lines; `#` starts a comment.
  /// Throws UsageError (unknown key with the nearest known one, wrong type or range, a key set
  /// twice) or DataError (unreadable file).
  void load_file(const std::filesystem::path& file);
  /// Takes one value from elsewhere, e.g. a run's database. Throws as load_file.
  void load_value(const std::string& key, const std::string& text, const std::string& origin) {
    set(key, text, origin);
  }
  /// Reads `--section.key=value`, `--section.key value` and, for options of type bool, a bare
  /// `--section.key`.
  /// @return the positional arguments in order
  std::vector<std::string> load_command_line(const std::vector<std::string>& arguments);

  const OptionValues& values() const { return values_; }
  const std::vector<Option>& options() const { return options_; }
  /// The value of one option as text (its default if it was not set).
  std::string text(const std::string& key) const;
  bool is_set(const std::string& key) const { return values_.find(key) != nullptr; }

  /// Every effective value with its origin, as an INI file that reads back to the same values.
  std::string dump() const;
  /// The same as nested JSON text: {"section": {"key": "value"}}.
  std::vector<std::pair<std::string, std::string>> effective() const;

 private:
  /// The key an alias or a section-less name stands for. Throws UsageError if unknown or ambiguous.
  const Option& resolve(const std::string& name, const std::string& origin) const;
  void set(const std::string& name, const std::string& text, const std::string& origin);

  std::vector<Option> options_;
  OptionValues values_;
};

/// Help text of options, grouped by section: name, default, range or choices, meaning.
std::string describe_options(const std::vector<Option>& options);

/// Other names of options that users of TRL, OpenRLHF, LLaMA-Factory and axolotl know: (alias,
/// key).
const std::vector<std::pair<std::string, std::string>>& option_aliases();

}  // namespace plumb
