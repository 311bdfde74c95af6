#include "core/options.hpp"

#include <charconv>
#include <cmath>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace option_detail {
namespace {

[[noreturn]] void reject(const Option& option, const OptionValue& given,
                         const std::string& expected) {
  throw UsageError(
      cat(option.key, " = ", given.text, " (from ", given.origin, "): expected ", expected));
}

template <class Number>
bool parse_whole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string range_text(const Range& range) {
  return cat(format(range.low), " to ", format(range.high));
}

void check_range(const Option& option, const OptionValue& given, double value) {
  if (!std::isfinite(value) ||
      (option.range && (value < option.range->low || value > option.range->high))) {
    reject(option, given,
           option.range ? cat("a ", option.type, " from ", range_text(*option.range))
                        : "a finite number");
  }
}

void check_choice(const Option& option, const OptionValue& given, const std::string& value) {
  if (option.choices.empty()) return;
  for (const std::string& choice : option.choices) {
    if (choice == value) return;
  }
  const std::string nearest = nearest_name(value, option.choices);
  reject(option, given,
         cat("one of ", join(option.choices, ", "),
             nearest.empty() ? "" : cat(" (did you mean ", nearest, "?)")));
}

}  // namespace

std::string format(bool value) { return value ? "true" : "false"; }
std::string format(std::int64_t value) { return std::to_string(value); }
std::string format(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end);
}
std::string format(const std::string& value) { return value; }
std::string format(const std::vector<std::string>& value) { return join(value, ", "); }
std::string format(const std::vector<double>& value) {
  std::vector<std::string> parts;
  for (const double number : value) parts.push_back(format(number));
  return join(parts, ", ");
}

void parse(const Option& option, const OptionValue& given, bool& out) {
  const std::string_view text = trim(given.text);
  if (text == "true" || text == "1" || text == "yes" || text == "on") {
    out = true;
  } else if (text == "false" || text == "0" || text == "no" || text == "off") {
    out = false;
  } else {
    reject(option, given, "true or false");
  }
}

void parse(const Option& option, const OptionValue& given, std::int64_t& out) {
  if (!parse_whole(trim(given.text), out)) {
    reject(
        option, given,
        option.range ? cat("a whole number from ", range_text(*option.range)) : "a whole number");
  }
  check_range(option, given, static_cast<double>(out));
}

void parse(const Option& option, const OptionValue& given, int& out) {
  std::int64_t wide = 0;
  parse(option, given, wide);
  out = static_cast<int>(wide);
  if (out != wide) reject(option, given, "a smaller whole number");
}

void parse(const Option& option, const OptionValue& given, double& out) {
  if (!parse_whole(trim(given.text), out)) {
    reject(option, given,
           option.range ? cat("a number from ", range_text(*option.range)) : "a number");
  }
  check_range(option, given, out);
}

void parse(const Option& option, const OptionValue& given, std::string& out) {
  out = given.text;
  check_choice(option, given, out);
}

void parse(const Option& option, const OptionValue& given, std::vector<std::string>& out) {
  out = split_list(given.text);
  for (const std::string& item : out) check_choice(option, given, item);
}

void parse(const Option& option, const OptionValue& given, std::vector<double>& out) {
  out.clear();
  for (const std::string& item : split_list(given.text)) {
    double value = 0;
    if (!parse_whole(std::string_view(item), value))
      reject(option, given, "numbers separated by commas");
    check_range(option, given, value);
    out.push_back(value);
  }
}

}  // namespace option_detail

void check_value(const Option& option, const OptionValue& given) {
  bool flag = false;
  std::int64_t whole = 0;
  double number = 0;
  std::string text;
  std::vector<std::string> list;
  if (option.type == "bool") option_detail::parse(option, given, flag);
  if (option.type == "integer") option_detail::parse(option, given, whole);
  if (option.type == "number") option_detail::parse(option, given, number);
  if (option.type == "text") option_detail::parse(option, given, text);
  if (option.type == "list") option_detail::parse(option, given, list);
}

}  // namespace plumb
