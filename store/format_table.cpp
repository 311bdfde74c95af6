#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "core/strings.hpp"
#include "store/queries.hpp"

namespace plumb::store {
namespace {

constexpr std::size_t kWidestText = 48;  // columns of a terminal
constexpr std::size_t kLongestNumber = 10;

using Cell = std::optional<std::string>;

/// Calls `use(bytes, columns)` for every character of a UTF-8 text.
void for_each_character(std::string_view text,
                        const std::function<void(std::string_view, std::size_t)>& use) {
  while (!text.empty()) {
    utf8proc_int32_t code = 0;
    const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &code);
    const std::size_t bytes = size > 0 ? static_cast<std::size_t>(size) : 1;
    use(text.substr(0, bytes),
        size > 0 ? static_cast<std::size_t>(std::max(0, utf8proc_charwidth(code))) : 1);
    text.remove_prefix(bytes);
  }
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for_each_character(text, [&](std::string_view, std::size_t columns) { width += columns; });
  return width;
}

/// One line without control characters (they could steer the terminal), cut to the widest column.
std::string one_line(const std::string& text) {
  std::string out;
  std::size_t width = 0;
  bool cut = false;
  for_each_character(text, [&](std::string_view bytes, std::size_t columns) {
    if (cut) return;
    const bool control =
        bytes.size() == 1 && (static_cast<unsigned char>(bytes[0]) < 0x20 || bytes[0] == 0x7f);
    const bool c1 =
        bytes.size() == 2 && bytes[0] == '\xc2' && static_cast<unsigned char>(bytes[1]) < 0xa0;
    const std::size_t taken = control || c1 ? 1 : columns;
    if (width + taken > kWidestText) {
      out += "…";
      cut = true;
      return;
    }
    width += taken;
    out += bytes == "\n" ? "↵" : control || c1 ? " " : std::string(bytes);
  });
  return out;
}

/// A real number in about six digits if it is long; integers stay as they are.
std::string short_number(const std::string& text) {
  if (text.size() <= kLongestNumber || text.find_first_of(".e") == std::string::npos) return text;
  const double value = std::strtod(text.c_str(), nullptr);
  const double size = std::abs(value);
  char out[64];
  if (size != 0.0 && (size < 1e-4 || size >= 1e15)) {
    std::snprintf(out, sizeof out, "%.4e", value);
  } else {
    std::snprintf(out, sizeof out, "%.*f", size >= 1000 ? 1 : size >= 1 ? 4 : 6, value);
  }
  return out;
}

std::string aligned(const Table& table) {
  std::vector<std::vector<std::string>> lines{{}};
  for (const std::string& column : table.columns) lines[0].push_back(one_line(column));
  for (const std::vector<Cell>& row : table.rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      line.push_back(!row[i] ? "" : table.numeric[i] ? short_number(*row[i]) : one_line(*row[i]));
    }
  }
  std::vector<std::size_t> widths(table.columns.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(line[i]));
    }
  }
  std::string out;
  for (std::size_t l = 0; l < lines.size(); ++l) {
    std::string text;
    for (std::size_t i = 0; i < lines[l].size(); ++i) {
      const std::string space(widths[i] - width_of(lines[l][i]), ' ');
      text += (i > 0 ? "  " : "") + (table.numeric[i] ? space + lines[l][i] : lines[l][i] + space);
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
    if (l == 0) {
      for (std::size_t i = 0; i < widths.size(); ++i) {
        out += (i > 0 ? "  " : "") + std::string(widths[i], '-');
      }
      out += "\n";
    }
  }
  return out;
}

std::string csv_field(const Cell& cell) {
  if (!cell) return "";
  if (!cell->empty() && cell->find_first_of(",\"\r\n") == std::string::npos) return *cell;
  std::string out = "\"";
  for (const char c : *cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string csv(const Table& table) {
  std::string out;
  const auto add = [&out](std::size_t i, const Cell& cell) {
    out += (i > 0 ? "," : "") + csv_field(cell);
  };
  for (std::size_t i = 0; i < table.columns.size(); ++i) add(i, table.columns[i]);
  out += "\r\n";
  for (const std::vector<Cell>& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) add(i, row[i]);
    out += "\r\n";
  }
  return out;
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Column names, those that come again with a number behind them: an object's keys must differ.
std::vector<std::string> unique_names(const std::vector<std::string>& columns) {
  std::map<std::string, int> seen;
  std::vector<std::string> out;
  for (const std::string& column : columns) {
    const int count = ++seen[column];
    out.push_back(count == 1 ? column : cat(column, "_", count));
  }
  return out;
}

std::string json(const Table& table) {
  std::vector<std::string> keys;
  for (const std::string& name : unique_names(table.columns)) keys.push_back(quoted(name));
  std::string out = "[";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    out += r > 0 ? ",\n {" : "{";
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Cell& cell = table.rows[r][i];
      out += (i > 0 ? ", " : "") + keys[i] + ": " +
             (!cell              ? "null"
              : table.numeric[i] ? *cell
                                 : quoted(*cell));
    }
    out += "}";
  }
  return out + "]\n";
}

std::string markdown_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "<br>";
    } else if (c == '|' || c == '\\') {
      out += {'\\', c};
    } else if (c != '\r') {
      out += c;
    }
  }
  return out;
}

std::string markdown(const Table& table) {
  std::string out = "|", rule = "|";
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    out += " " + markdown_cell(table.columns[i]) + " |";
    rule += table.numeric[i] ? "---:|" : "---|";
  }
  out += "\n" + rule + "\n";
  for (const std::vector<Cell>& row : table.rows) {
    out += "|";
    for (const Cell& cell : row) out += " " + (cell ? markdown_cell(*cell) : "") + " |";
    out += "\n";
  }
  return out;
}

}  // namespace

std::string format_table(const Table& table, const std::string& format) {
  if (format == "table") return aligned(table);
  if (format == "csv") return csv(table);
  if (format == "json") return json(table);
  if (format == "markdown") return markdown(table);
  const std::vector<std::string> known{"table", "csv", "json", "markdown"};
  const std::string nearest = nearest_name(format, known);
  throw UsageError(cat("format = ", format, ": expected table, csv, json or markdown",
                       nearest.empty() ? "" : cat("; did you mean ", nearest, "?")));
}

}  // namespace plumb::store
