// Shapes and rules beyond the awkward files. Expected texts are worked out by hand from each row.
#include <zlib.h>

#include "core/error.hpp"
#include "core/files.hpp"
#include "support/files.hpp"
#include "text/dataset.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

class Fixture {
 public:
  Dataset read(const std::string& text, const DatasetOptions& options = {}) {
    write_file_atomically(folder_ / "data.jsonl", text);
    return read_dataset(folder_ / "data.jsonl", options);
  }
  DatasetRow only_row(const std::string& text, const DatasetOptions& options = {}) {
    Dataset data = read(text, options);
    INFO((data.rejected.empty() ? "" : data.rejected[0].reason));
    REQUIRE(data.rows.size() == 1);
    return data.rows[0];
  }
  std::string refusal(const std::string& text) {
    try {
      read(text);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }

 private:
  test::TempDir folder_;
};

constexpr DatasetOptions kPrompts{.kind = DatasetKind::kPrompt, .strict = false};

std::string flat(const std::vector<Message>& messages) {
  std::string text;
  for (const Message& message : messages) text += "<" + message.role + ">" + message.content;
  return text;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(text.size() + 100, '\0');
  std::string copy = text;
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "question, system and pair", "[dataset][unit]") {
  const DatasetRow row = only_row(
      R"({"system": "Be short.", "question": "Two plus two?", "chosen": "4", "rejected": "5"})");
  CHECK(flat(row.messages) == "<system>Be short.<user>Two plus two?");
  CHECK(row.chosen == "4");
}

TEST_CASE_METHOD(Fixture, "an empty system text adds no message", "[dataset][unit]") {
  CHECK(flat(only_row(R"({"system": "", "question": "q", "chosen": "a", "rejected": "b"})")
                 .messages) == "<user>q");
}

TEST_CASE_METHOD(Fixture, "history of an instruction row comes before it", "[dataset][unit]") {
  const DatasetRow row = only_row(
      R"({"instruction": "And now?", "output": "Noon.", "history": [["Hour?", "Eleven."]]})");
  CHECK(flat(row.messages) == "<user>Hour?<assistant>Eleven.<user>And now?");
  CHECK(row.completion == "Noon.");
}

TEST_CASE_METHOD(Fixture, "choices get letters", "[dataset][unit]") {
  const DatasetRow row =
      only_row(R"({"id": "q", "question": "Which?", "choices": ["red", "blue"], "answer": "B"})");
  CHECK(flat(row.messages) == "<user>Which?\n\nA. red\nB. blue");
  CHECK(row.reference == "B");
}

TEST_CASE_METHOD(Fixture, "a transcript as the prompt of text answers", "[dataset][unit]") {
  const DatasetRow row = only_row(
      R"({"prompt": "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: bye\n\nAssistant:", "chosen": " see you", "rejected": " no"})");
  CHECK(flat(row.messages) == "<user>hi<assistant>hello<user>bye");
  CHECK(row.chosen == "see you");
  CHECK(row.rejected == "no");
}

TEST_CASE_METHOD(Fixture, "the end of an implicit prompt never cuts a word or a character",
                 "[dataset][unit]") {
  const DatasetRow word =
      only_row(R"({"chosen": "Name a planet: Mars", "rejected": "Name a planet: Marzipan"})");
  CHECK(flat(word.messages) == "<user>Name a planet: ");
  CHECK(word.chosen == "Mars");
  CHECK(word.rejected == "Marzipan");
  // U+00E9 and U+00E8 share their first byte in UTF-8.
  const DatasetRow accent = only_row(R"({"chosen": "x\u00e9", "rejected": "x\u00e8"})");
  CHECK(flat(accent.messages) == "<user>x");
  CHECK(accent.chosen == "\xC3\xA9");
}

TEST_CASE_METHOD(Fixture, "marked phrases of a pair are key spans", "[dataset][unit]") {
  const std::string row =
      R"({"prompt":"p","chosen":"a red fox ran","rejected":"a blue hen",)"
      R"("chosen_masked":"a <MASK>red</MASK> <MASK>fox</MASK><MASK> ran</MASK>",)";
  const auto with = [&](const std::string& rejected_masked) {
    return row + R"("rejected_masked":")" + rejected_masked + "\"}\n";
  };
  CHECK(only_row(with("a <MASK>blue</MASK> <MASK>hen</MASK><MASK></MASK>")).key_spans ==
        std::vector<KeySpan>{{2, 5, 2, 6}, {6, 9, 7, 10}, {9, 13, 10, 10}});
  CHECK(only_row(R"({"prompt":"p","chosen":"a","rejected":"b"})").key_spans.empty());

  const std::string good = R"({"prompt":"p","chosen":"a","rejected":"b"})"
                           "\n";
  const auto reason = [&](const std::string& bad) {
    const Dataset data = read(good + bad);
    REQUIRE(data.rejected.size() == 1);
    CHECK(data.rejected[0].code == "bad_spans");
    return data.rejected[0].reason;
  };
  CHECK_THAT(reason(with("a <MASK>blue</MASK> hen")),
             Contains("marks 3 phrases, \"rejected_masked\" 1"));
  CHECK_THAT(reason(with("a <MASK>red</MASK> hen")), Contains("is not the answer \"rejected\""));
  CHECK_THAT(reason(with("a <MASK>blue hen")), Contains("does not close it"));
  CHECK_THAT(reason(with("a <MASK>blue<MASK> hen</MASK></MASK>")), Contains("does not close it"));
  CHECK_THAT(reason(with("a blue</MASK> hen")), Contains("did not open"));
  CHECK_THAT(
      reason(R"({"prompt":"p","chosen":"a","rejected":"b","chosen_masked":"<MASK>a</MASK>"})"),
      Contains("only one of"));
  CHECK_THAT(reason(R"({"prompt":"p","chosen":"a","rejected":"b",)"
                    R"("chosen_masked":"a<MASK></MASK>","rejected_masked":"b<MASK></MASK>"})"),
             Contains("phrase 1 is empty on both sides"));
}

TEST_CASE_METHOD(Fixture, "answers may repeat a prompt given as messages", "[dataset][unit]") {
  const DatasetRow row = only_row(
      R"({"prompt": [{"role": "user", "content": "hi"}], )"
      R"("chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}], )"
      R"("rejected": [{"role": "assistant", "content": "y"}]})");
  CHECK(flat(row.messages) == "<user>hi");
  CHECK(row.chosen == "x");
  CHECK(row.rejected == "y");
}

TEST_CASE_METHOD(Fixture, "a conversation with a label is an unpaired row", "[dataset][unit]") {
  const DatasetRow row = only_row(
      R"({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}], "label": false})");
  CHECK(flat(row.messages) == "<user>hi");
  CHECK(row.completion == "x");
  CHECK_FALSE(row.label);
}

TEST_CASE_METHOD(Fixture, "every kind of file is a source of prompts", "[dataset][unit]") {
  const DatasetRow pair = only_row(R"({"prompt": "p", "chosen": "x", "rejected": "y"})", kPrompts);
  CHECK(flat(pair.messages) == "<user>p");
  CHECK(pair.chosen.empty());
  CHECK_FALSE(pair.reference);
  const DatasetRow alpaca =
      only_row(R"({"instruction": "p", "input": "", "output": "o"})", kPrompts);
  CHECK(alpaca.reference == "o");
  CHECK(alpaca.completion.empty());
  const DatasetRow unpaired =
      only_row(R"({"prompt": "p", "completion": "bad", "label": false})", kPrompts);
  CHECK_FALSE(unpaired.reference);
  const DatasetRow open =
      only_row(R"({"conversations": [{"from": "human", "value": "no answer"}]})", kPrompts);
  CHECK(flat(open.messages) == "<user>no answer");
  const Dataset twice = read(
      "{\"prompt\": \"p\", \"chosen\": \"x\", \"rejected\": \"y\"}\n"
      "{\"prompt\": \"p\", \"chosen\": \"z\", \"rejected\": \"y\"}\n",
      kPrompts);
  CHECK(twice.rows.size() == 1);
  CHECK(twice.rejected.at(0).code == "duplicate");
}

TEST_CASE_METHOD(Fixture, "typed prompts of this project", "[dataset][unit]") {
  const DatasetRow row = only_row(
      R"({"id": "d-1", "prompt": "p", "reference": null, "qtype": "open", "licence": "CC0-1.0"})");
  CHECK(row.id == "d-1");
  CHECK(row.name() == "d-1");
  CHECK(row.kind == "open");
  CHECK_FALSE(row.reference);
  const Dataset odd = read(R"({"prompt": "p", "qtype": "closed"})");
  CHECK_FALSE(odd.rows.at(0).kind);
  CHECK_THAT(odd.warnings.at(0), StartsWith("unknown_qtype:"));
  CHECK(odd.rows.at(0).name() == "line 1");
}

TEST_CASE_METHOD(Fixture, "the demo prompts and pairs are read whole", "[dataset][unit]") {
  const std::filesystem::path folder = std::filesystem::path(PLUMB_SOURCE_DIR) / "configs/data";
  CHECK(read_dataset(folder / "demo_prompts.jsonl", kPrompts).rows.size() == 60);
  CHECK(read_dataset(folder / "demo_prompts_more.jsonl", kPrompts).rows.size() == 80);
  const DatasetOptions pairs{.kind = DatasetKind::kPair};
  CHECK(read_dataset(folder / "edits_numbers.jsonl", pairs).rows.size() == 144);
  CHECK(read_dataset(folder / "edits_words.jsonl", pairs).rows.size() == 96);
}

TEST_CASE_METHOD(Fixture, "nothing in an unknown field rejects a row", "[dataset][unit]") {
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  const DatasetRow row = only_row(
      R"({"meta": {"a": 1, "a": 2, "b": "\u0000"}, "prompt": "p", "prompts": )" + deep + "}");
  CHECK(flat(row.messages) == "<user>p");
}

TEST_CASE_METHOD(Fixture, "a known field nested too deep is one bad row", "[dataset][unit]") {
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  const Dataset data = read("{\"prompt\": \"p\"}\n{\"prompt\": " + deep + "}\n");
  CHECK(data.rows.size() == 1);
  CHECK(data.rejected.at(0).code == "too_deep");
}

TEST_CASE_METHOD(Fixture,
                 "opposite labels are a contradiction, repeated content under other ids a warning",
                 "[dataset][unit]") {
  const Dataset labels = read(
      "{\"prompt\": \"p\", \"completion\": \"x\", \"label\": true}\n"
      "{\"prompt\": \"p\", \"completion\": \"x\", \"label\": false}\n");
  CHECK(labels.rows.size() == 2);
  CHECK_THAT(labels.warnings.at(0), StartsWith("contradiction:") && Contains("lines 1 and 2"));
  const Dataset again = read("{\"id\": 1, \"prompt\": \"p\"}\n{\"id\": 2, \"prompt\": \"p\"}\n");
  CHECK(again.rows.size() == 2);
  CHECK(again.warnings.size() == 1);
  CHECK_THAT(again.warnings.at(0), StartsWith("repeated_content:"));
}

TEST_CASE_METHOD(Fixture,
                 "strict reading lets exact repetitions pass and names file and line of a fault",
                 "[dataset][unit]") {
  const DatasetOptions strict{.kind = std::nullopt, .strict = true};
  CHECK(read("{\"prompt\": \"p\"}\n{\"prompt\": \"p\"}\n", strict).rows.size() == 1);
  CHECK_THROWS_WITH(read("{\"prompt\": \"p\"}\n\n{\"prompt\": 7}\n", strict),
                    Contains("data.jsonl:3: wrong_type: "));
}

TEST_CASE_METHOD(Fixture, "gzip files of one or several members are read, damaged ones refused",
                 "[dataset][unit]") {
  const std::string a = "{\"prompt\": \"a\"}\n", b = "{\"prompt\": \"b\"}\n";
  CHECK(read(gzip(a) + gzip(b)).rows.size() == 2);
  const std::string packed = gzip(a + b);
  CHECK_THAT(refusal(packed.substr(0, packed.size() - 9)),
             Contains("damaged gzip file: it ends too early"));
  std::string flipped = packed;
  flipped[packed.size() - 6] =
      static_cast<char>(flipped[packed.size() - 6] ^ 0x55);  // in the stored CRC
  CHECK_THAT(refusal(flipped), Contains("damaged gzip file"));
  CHECK_THAT(refusal(packed + "junk"), Contains("damaged gzip file"));
}

TEST_CASE_METHOD(Fixture, "files that are no JSONL are refused with one sentence",
                 "[dataset][unit]") {
  CHECK_THAT(refusal("PAR1\x15\x04"), Contains("Parquet"));
  CHECK_THAT(refusal("[\n{\"prompt\": \"p\"},\n{\"prompt\": \"q\"}\n]\n"), Contains("JSON array"));
  CHECK_THAT(refusal("Dear reader,\nthis is prose.\n"),
             Contains("no line is a row of a known form"));
  CHECK_THAT(refusal("{\"text\": \"x\"}\n"), Contains("line 1 has \"text\""));
  CHECK_THROWS_AS(read_dataset("/nonexistent/rows.jsonl"), DataError);
  CHECK_THROWS_AS(read_dataset(std::filesystem::temp_directory_path()), DataError);
}

}  // namespace plumb
