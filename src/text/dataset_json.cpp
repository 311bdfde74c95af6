#include "text/dataset_json.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb::dataset {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxNames = 8;
constexpr std::array<std::string_view, 26> kKnownFields{
    "chosen_masked", "rejected_masked", "answer",        "chosen",       "chosen_score",
    "choices",       "completion",      "conversations", "history",      "id",
    "input",         "instruction",     "label",         "messages",     "output",
    "prompt",        "qtype",           "question",      "reference",    "reference_answer",
    "rejected",      "rejected_score",  "response",      "score_chosen", "score_rejected",
    "system"};

/// Receives the parser's events and builds the known fields.
class RowBuilder {
 public:
  explicit RowBuilder(RowObject& row) : row_(row) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(json::number_integer_t value) { return add(value); }
  bool number_unsigned(json::number_unsigned_t value) { return add(value); }
  bool number_float(json::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) {
    if (building() && value.find('\0') != std::string::npos) {
      throw RowFault("nul_byte", cat("field ", printable(field_), " holds the character U+0000"));
    }
    return add(std::move(value));
  }
  bool binary(json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open(json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    if (skipped_levels_ > 0) return true;
    if (open_.size() == 1) {
      field_ = name;
      skip_next_ = std::find(kKnownFields.begin(), kKnownFields.end(), name) == kKnownFields.end();
      if (skip_next_) {
        if (row_.unknown.size() < kMaxNames) row_.unknown.push_back(name);
        return true;
      }
    }
    if (open_.back()->contains(name)) {
      throw RowFault("duplicate_key", cat("the key ", printable(name), " stands twice"));
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& error) {
    throw RowFault("bad_json", cat("not valid JSON at byte ", position, ": ", cause(error.what())));
  }

  void finish() const {
    if (!other_root_.empty()) {
      throw RowFault("not_an_object",
                     cat("the line is of JSON type ", other_root_, ", expected an object"));
    }
  }

 private:
  bool building() const { return skipped_levels_ == 0 && !skip_next_; }

  /// The parser's own short reason, without the text that it read.
  static std::string cause(std::string_view message) {
    if (message.find("number overflow") != std::string_view::npos) {
      return "a number is out of range";
    }
    const std::size_t end = message.find("; last read");
    std::size_t begin = message.rfind(" - ", end);
    if (begin == std::string_view::npos) return "syntax error";
    begin += 3;
    return std::string(message.substr(begin, end == std::string_view::npos ? end : end - begin));
  }

  json* insert(json&& value) {
    if (open_.empty()) return &row_.fields;
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  /// False if the whole line is no object: its contents are then only checked.
  bool is_row(const json& value) {
    if (!open_.empty() || value.is_object()) return true;
    other_root_ = value.type_name();
    return false;
  }

  bool add(json&& value) {
    if (building() && is_row(value)) insert(std::move(value));
    if (skipped_levels_ == 0) skip_next_ = false;
    return true;
  }

  bool open(json&& value) {
    if (!building() || !is_row(value)) {
      skip_next_ = false;
      ++skipped_levels_;
      return true;
    }
    if (open_.size() == kMaxDepth) {
      throw RowFault("too_deep", cat("field ", printable(field_), " is nested deeper than ",
                                     kMaxDepth, " levels"));
    }
    open_.push_back(insert(std::move(value)));
    return true;
  }

  bool close() {
    if (skipped_levels_ > 0) {
      --skipped_levels_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  RowObject& row_;
  std::vector<json*> open_;  // the containers around the next value
  std::string field_, key_, other_root_;
  bool skip_next_ = false;          // the next value belongs to an unknown field
  std::size_t skipped_levels_ = 0;  // open containers inside an unknown field
};

}  // namespace

std::string printable(std::string_view text) {
  constexpr std::size_t kMaxBytes = 40;
  const std::string_view shown = text.substr(0, complete_utf8_prefix(text.substr(0, kMaxBytes)));
  const std::string ascii = json(to_valid_utf8(shown)).dump(-1, ' ', true);
  return shown.size() < text.size() ? ascii.substr(0, ascii.size() - 1) + "...\"" : ascii;
}

const json& RowObject::at(const char* name) const {
  static const json null_value;
  const auto it = fields.find(name);
  return it == fields.end() ? null_value : *it;
}

std::string RowObject::names() const {
  std::vector<std::string> parts;
  for (const auto& item : fields.items()) parts.push_back(printable(item.key()));
  for (const std::string& name : unknown) parts.push_back(printable(name));
  if (parts.size() > kMaxNames) parts.resize(kMaxNames);
  return parts.empty() ? "nothing" : join(parts, ", ");
}

RowObject parse_row(std::string_view line) {
  const std::size_t good = valid_utf8_prefix(line);
  if (good < line.size()) throw RowFault("invalid_utf8", cat("not valid UTF-8 at byte ", good + 1));
  RowObject row;
  RowBuilder builder(row);
  json::sax_parse(line, &builder);
  builder.finish();
  return row;
}

}  // namespace plumb::dataset
