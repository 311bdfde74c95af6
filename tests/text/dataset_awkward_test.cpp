// Every file of tests/fixtures/awkward against its index.json: accepted and rejected lines,
// reasons, rows in normal form.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/strings.hpp"
#include "support/files.hpp"
#include "text/dataset.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using nlohmann::json;

std::filesystem::path awkward(const std::string& name) {
  return std::filesystem::path(PLUMB_SOURCE_DIR) / "tests/fixtures/awkward" / name;
}

json index_files() {
  std::ifstream in(awkward("index.json"));
  return json::parse(in)["files"];
}

/// Names that the index calls as good as its own.
const std::map<std::string, std::set<std::string>> kOtherNames{
    {"not_finite", {"bad_json"}},        {"nul_byte", {"bad_json"}},
    {"invalid_unicode", {"bad_json"}},   {"wrong_type", {"missing_field"}},
    {"other_format", {"missing_field"}},
};

bool means(const std::string& expected, const std::string& code) {
  const auto others = kOtherNames.find(expected);
  return code == expected || (others != kOtherNames.end() && others->second.count(code) > 0);
}

json normal_form(const DatasetRow& row, DatasetKind kind) {
  json out;
  for (const Message& message : row.messages)
    out["prompt"].push_back({{"role", message.role}, {"content", message.content}});
  if (kind == DatasetKind::kPair) {
    out["chosen"] = row.chosen;
    out["rejected"] = row.rejected;
  }
  if (kind == DatasetKind::kUnpaired || kind == DatasetKind::kSft)
    out["completion"] = row.completion;
  if (kind == DatasetKind::kUnpaired) out["label"] = row.label;
  if (row.chosen_score) out["chosen_score"] = *row.chosen_score;
  if (row.rejected_score) out["rejected_score"] = *row.rejected_score;
  if (row.reference) out["reference"] = *row.reference;
  if (row.kind) out["qtype"] = *row.kind;
  return out;
}

bool is_printable(const std::string& text) {
  return is_valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

/// Files that are refused as a whole, by design of this reader.
const std::set<std::string> kRefused{"bad_json_array.json",      "bad_json_array_one_line.jsonl",
                                     "bad_pretty_printed.jsonl", "bad_utf16.jsonl",
                                     "bad_empty.jsonl",          "bad_only_blank_lines.jsonl",
                                     "bad_only_bom.jsonl",       "bad_cr_line_ends.jsonl"};

void check_lines(const json& entry, const Dataset& data) {
  std::map<std::int64_t, std::string> rejected;
  for (const RejectedLine& line : data.rejected) {
    rejected[line.line] = line.code;
    INFO(line.line << " " << line.code << ": " << line.reason);
    CHECK(is_printable(line.reason));
    CHECK_FALSE(line.reason.empty());
  }
  for (const json& expected : entry["reject"]) {
    const auto found = rejected.find(expected["line"]);
    INFO("line " << expected["line"] << " must be rejected as " << expected["reason"]);
    REQUIRE(found != rejected.end());
    CHECK(means(expected["reason"], found->second));
    rejected.erase(found);
  }
  for (const json& optional : entry["optional"]) {
    const auto found = rejected.find(optional["line"]);
    if (found == rejected.end()) continue;
    INFO("line " << optional["line"] << " may be rejected as " << optional["reason"]);
    CHECK(means(optional["reason"], found->second));
    rejected.erase(found);
  }
  for (const auto& [line, code] : rejected) {
    INFO("line " << line << " must not be rejected");
    CHECK(code.empty());
  }
}

}  // namespace

TEST_CASE("awkward files are those that the index describes", "[dataset][unit]") {
  for (const json& entry : index_files()) {
    INFO(entry["file"]);
    CHECK(sha256_hex_of_file(awkward(entry["file"])) == entry["sha256"].get<std::string>());
  }
}

TEST_CASE("awkward files are read as the index says", "[dataset][unit]") {
  for (const json& entry : index_files()) {
    const std::string name = entry["file"];
    INFO(name);
    if (kRefused.count(name) > 0) {
      CHECK(entry["file_error"].is_string());
      CHECK_THROWS_AS(read_dataset(awkward(name)), DataError);
      continue;
    }
    const Dataset data = read_dataset(awkward(name));
    CHECK(to_string(data.kind) == entry["kind"].get<std::string>());
    const json& accept = entry["accept"];
    const auto rows = static_cast<std::int64_t>(data.rows.size());
    CHECK(rows >= (accept.is_array() ? accept[0] : accept).get<std::int64_t>());
    CHECK(rows <= (accept.is_array() ? accept[1] : accept).get<std::int64_t>());
    check_lines(entry, data);
    CHECK((data.rows.empty() || !data.mapping.empty()));
    if (!entry.contains("rows")) continue;
    REQUIRE(data.rows.size() == entry["rows"].size());
    for (std::size_t i = 0; i < data.rows.size(); ++i)
      CHECK(normal_form(data.rows[i], data.kind) == entry["rows"][i]);
  }
}

TEST_CASE("warnings of the index are given", "[dataset][unit]") {
  for (const json& entry : index_files()) {
    const std::string name = entry["file"];
    if (kRefused.count(name) > 0) continue;
    const Dataset data = read_dataset(awkward(name));
    for (const std::string expected : entry["warn"]) {
      const std::string code = expected.substr(0, expected.find(' '));
      const auto is_it = [&](const std::string& warning) {
        return warning.starts_with(code + ":");
      };
      const auto rejected = [&](const RejectedLine& line) { return line.code == code; };
      INFO(name << ": " << expected);
      CHECK((std::any_of(data.warnings.begin(), data.warnings.end(), is_it) ||
             std::any_of(data.rejected.begin(), data.rejected.end(), rejected)));
    }
  }
}

TEST_CASE("a strict reading of a file stops at its first bad row", "[dataset][unit]") {
  for (const json& entry : index_files()) {
    const std::string name = entry["file"];
    const auto harmless = [](const json& fault) { return fault["reason"] == "duplicate"; };
    if (kRefused.count(name) > 0 || entry["reject"].empty()) continue;
    if (std::all_of(entry["reject"].begin(), entry["reject"].end(), harmless)) continue;
    INFO(name);
    CHECK_THROWS_AS(read_dataset(awkward(name), {.kind = std::nullopt, .strict = true}), DataError);
  }
}

}  // namespace plumb
