#include "text/dataset.hpp"

#include <map>
#include <unordered_map>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "text/dataset_file.hpp"
#include "text/dataset_row.hpp"

namespace plumb {
namespace {

using namespace dataset;

/// Lines that a warning is about, told in one sentence at the end.
struct Warning {
  std::string text;
  std::vector<std::string> places;
  std::int64_t count = 0;
};

/// SHA-256 of what a row says, without id, line and scores. With `opposite`: of the row that says
/// the contrary (a pair turned round, a label turned over); the same digest for kinds that have no
/// contrary.
std::string content_digest(const DatasetRow& row, bool opposite) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    const std::uint64_t size = text.size();
    hash.update(&size, sizeof size).update(text);
  };
  for (const Message& message : row.messages) {
    add(message.role);
    add(message.content);
  }
  add("answers");
  add(opposite ? row.rejected : row.chosen);
  add(opposite ? row.chosen : row.rejected);
  add(row.completion);
  add(row.label != (opposite && !row.completion.empty()) ? "good" : "bad");
  add(row.reference.value_or(""));
  add(row.kind.value_or(""));
  const Sha256::Digest digest = hash.finish();
  return {digest.begin(), digest.end()};
}

/// The kind of the first row that looks like one.
DatasetKind find_kind(std::string_view text, const std::filesystem::path& file) {
  std::string first_fault;
  Lines lines(text);
  while (const auto line = lines.next()) {
    try {
      const RowObject row = parse_row(line->text);
      if (const auto kind = kind_of(row)) return *kind;
      if (first_fault.empty()) first_fault = cat("line ", line->number, " has ", row.names());
    } catch (const RowFault& fault) {
      if (first_fault.empty()) first_fault = cat("line ", line->number, ": ", fault.what());
    }
  }
  throw DataError(cat(file.string(), ": no line is a row of a known form (", first_fault,
                      "); expected one JSON object a line with \"prompt\", \"chosen\" and "
                      "\"rejected\", \"messages\", \"instruction\", ..."));
}

/// Collects the rows of one file, one line after the other.
class Reader {
 public:
  Reader(const std::filesystem::path& file, DatasetKind kind, const DatasetOptions& options)
      : file_(file),
        strict_(options.strict),
        all_are_prompts_(options.kind == DatasetKind::kPrompt) {
    out_.kind = kind;
  }

  void read_line(const Lines::Line& line) {
    try {
      const RowObject object = parse_row(line.text);
      check_kind(object);
      ReadRow read = read_row(object, out_.kind);
      read.row.line = line.number;
      check_repetition(read.row);
      for (const char* code : read.warnings) {
        warn(code, row_warning(code), cat("line ", line.number));
      }
      if (out_.rows.empty()) out_.mapping = cat(to_string(out_.kind), " rows: ", read.mapping);
      out_.rows.push_back(std::move(read.row));
    } catch (const RowFault& fault) {
      if (strict_ && fault.code() != "duplicate") {
        throw DataError(
            cat(file_.string(), ":", line.number, ": ", fault.code(), ": ", fault.what()));
      }
      out_.rejected.push_back({line.number, fault.code(), fault.what()});
    }
  }

  Dataset finish() {
    for (const auto& [code, warning] : warnings_) {
      std::string places;
      for (const std::string& place : warning.places) {
        places += (places.empty() ? "" : "; ") + place;
      }
      const auto more = warning.count - static_cast<std::int64_t>(warning.places.size());
      out_.warnings.push_back(cat(code, ": ", warning.text, " (", places,
                                  more > 0 ? cat("; and ", more, " more") : "", ")"));
    }
    return std::move(out_);
  }

 private:
  /// A row that says more than the file's kind was meant for something else; one that says less
  /// lacks a field.
  void check_kind(const RowObject& object) const {
    const DatasetKind kind = kind_of(object).value_or(DatasetKind::kPrompt);
    if (all_are_prompts_ || kind == out_.kind || kind == DatasetKind::kPrompt) return;
    if (kind == DatasetKind::kSft && out_.kind == DatasetKind::kUnpaired) return;
    throw RowFault("other_format",
                   cat("looks like a row of kind ", to_string(kind), " (it has ", object.names(),
                       ") among rows of kind ", to_string(out_.kind)));
  }

  void check_repetition(const DatasetRow& row) {
    const std::string content = content_digest(row, false);
    const auto known = row.id.empty() ? ids_.end() : ids_.find(row.id);
    if (known != ids_.end() && known->second.content != content) {
      throw RowFault("id_conflict", cat("the id ", printable(row.id),
                                        " stands for another row on line ", known->second.line));
    }
    const auto [same, fresh] = contents_.try_emplace(content, row.line);
    if (!fresh && (row.id.empty() || known != ids_.end() || all_are_prompts_)) {
      throw RowFault("duplicate", cat("repeats line ", same->second));
    }
    if (!fresh) {
      warn("repeated_content", "rows with other ids repeat earlier rows",
           cat("lines ", same->second, " and ", row.line));
    }
    if (!row.id.empty()) ids_[row.id] = {row.line, content};
    const auto opposite = contents_.find(content_digest(row, true));
    if (opposite != contents_.end() && opposite->first != content) {
      warn("contradiction", "two rows say the opposite of each other",
           cat("lines ", opposite->second, " and ", row.line));
    }
  }

  void warn(const std::string& code, const char* text, const std::string& place) {
    constexpr std::size_t kShown = 3;
    Warning& warning = warnings_[code];
    warning.text = text;
    ++warning.count;
    if (warning.places.size() < kShown) warning.places.push_back(place);
  }

  struct Place {
    std::int64_t line;
    std::string content;
  };

  std::filesystem::path file_;
  bool strict_;
  bool all_are_prompts_;
  Dataset out_;
  std::unordered_map<std::string, Place> ids_;
  std::unordered_map<std::string, std::int64_t> contents_;  // digest to line
  std::map<std::string, Warning> warnings_;
};

}  // namespace

std::string_view to_string(DatasetKind kind) {
  switch (kind) {
    case DatasetKind::kPrompt:
      return "prompt";
    case DatasetKind::kPair:
      return "pair";
    case DatasetKind::kUnpaired:
      return "unpaired";
    case DatasetKind::kSft:
      break;
  }
  return "sft";
}

std::string DatasetRow::name() const { return id.empty() ? cat("line ", line) : id; }

Dataset read_dataset(const std::filesystem::path& file, const DatasetOptions& options) {
  const std::string text = read_text(file);
  Reader reader(file, options.kind ? *options.kind : find_kind(text, file), options);
  Lines lines(text);
  while (const auto line = lines.next()) reader.read_line(*line);
  return reader.finish();
}

}  // namespace plumb
