#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// Options are declared once, beside the struct that holds them:
///
///   struct DpoOptions {
///     double beta = 0.1;
///     static void describe(auto& self, auto&& field) {
///       field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
///     }
///   };
///
/// `declared<DpoOptions>("dpo")` lists them (flags, --help, `plumb list options`);
/// `values.read<DpoOptions>("dpo")` fills the struct. Members may be bool, std::int64_t, int,
/// double, std::string, std::vector<std::string>, std::vector<double>.
namespace plumb {

struct Range {
  double low, high;  // both ends allowed
};
struct Choices {
  std::vector<std::string> names;
};

struct Option {
  std::string key;   // "section.name"
  std::string type;  // "bool", "integer", "number", "text", "list"
  std::string default_value;
  std::string help;
  std::optional<Range> range;
  std::vector<std::string> choices;
};

struct OptionValue {
  std::string text;
  std::string origin;  // "default", "configs/x.ini", "command line"
};

namespace option_detail {

std::string format(bool value);
std::string format(std::int64_t value);
std::string format(double value);
std::string format(const std::string& value);
std::string format(const std::vector<std::string>& value);
std::string format(const std::vector<double>& value);
inline std::string format(int value) { return format(static_cast<std::int64_t>(value)); }

void parse(const Option& option, const OptionValue& given, bool& out);
void parse(const Option& option, const OptionValue& given, std::int64_t& out);
void parse(const Option& option, const OptionValue& given, int& out);
void parse(const Option& option, const OptionValue& given, double& out);
void parse(const Option& option, const OptionValue& given, std::string& out);
void parse(const Option& option, const OptionValue& given, std::vector<std::string>& out);
void parse(const Option& option, const OptionValue& given, std::vector<double>& out);

template <class T>
std::string type_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "bool";
  else if constexpr (std::is_integral_v<T>)
    return "integer";
  else if constexpr (std::is_floating_point_v<T>)
    return "number";
  else if constexpr (std::is_same_v<T, std::string>)
    return "text";
  else
    return "list";
}

/// "section.name", or the bare name for an empty section.
inline std::string key_of(const std::string& section, const char* name) {
  return section.empty() ? name : section + "." + name;
}

template <class T>
Option make(const std::string& section, const char* name, const T& value, const char* help) {
  return {key_of(section, name), type_name<T>(), format(value), help, std::nullopt, {}};
}
template <class T>
Option make(const std::string& section, const char* name, const T& value, Range range,
            const char* help) {
  return {key_of(section, name), type_name<T>(), format(value), help, range, {}};
}
template <class T>
Option make(const std::string& section, const char* name, const T& value, Choices choices,
            const char* help) {
  return {key_of(section, name), type_name<T>(),          format(value), help,
          std::nullopt,          std::move(choices.names)};
}

}  // namespace option_detail

/// The options of `T` under a section, with their defaults.
template <class T>
std::vector<Option> declared(const std::string& section) {
  std::vector<Option> options;
  T value{};
  T::describe(value, [&](const char* name, auto& member, auto... rest) {
    options.push_back(option_detail::make(section, name, member, rest...));
  });
  return options;
}

/// Effective values of all options, as text with their origin.
class OptionValues {
 public:
  void set(const std::string& key, std::string text, std::string origin) {
    values_[key] = {std::move(text), std::move(origin)};
  }
  const OptionValue* find(const std::string& key) const {
    const auto it = values_.find(key);
    return it == values_.end() ? nullptr : &it->second;
  }
  const std::map<std::string, OptionValue>& all() const { return values_; }

  /// Fills a `T` from the section; missing keys keep their defaults.
  /// Throws UsageError naming key, given value, expected type or range, and origin.
  template <class T>
  T read(const std::string& section) const {
    T value{};
    T::describe(value, [&](const char* name, auto& member, auto... rest) {
      const Option option = option_detail::make(section, name, member, rest...);
      if (const OptionValue* given = find(option.key)) option_detail::parse(option, *given, member);
    });
    return value;
  }

 private:
  std::map<std::string, OptionValue> values_;
};

/// Checks one value against its option without keeping it. Throws UsageError.
void check_value(const Option& option, const OptionValue& given);

}  // namespace plumb
