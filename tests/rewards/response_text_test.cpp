#include "rewards/response_text.hpp"

#include "core/error.hpp"
#include "rewards/text_statistics.hpp"
#include "support/files.hpp"
#include "text/words.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

struct Measured {
  double length;
  double repetition;
};

Measured measure(std::string_view text) {
  const auto words = wordpunct(text);
  return {length_incentive(words.size(), 100, 0), count_ngrams(words, 3).ratio()};
}

bool equal(const Measured& ours, const nlohmann::json& theirs) {
  return ours.length == test::number(theirs["length_incentive"]) &&
         ours.repetition == test::number(theirs["repetition_penalty"]);
}

}  // namespace

TEST_CASE("a response ends at the earliest stop text", "[rewards][unit]") {
  const auto stops = stop_texts("alpaca", {});
  CHECK(cut_at_stop("\n Paris is the capital. \n\n### Instruction: next", stops) ==
        "Paris is the capital.");
  CHECK(cut_at_stop("Reply.\n### Response: again", stops) == "Reply.");
  CHECK(cut_at_stop("Answer.\n\n\n\nMore", stops) == "Answer.");
  CHECK(cut_at_stop("Body\n\n-- me", stops) == "Body");
  CHECK(cut_at_stop("Body\n\n____ rule", stops) == "Body");
  CHECK(cut_at_stop("b\n\n--\n### Instruction: c", stops) == "b");
  CHECK(cut_at_stop("a\n\n\n\nb\n\n\n\nc", stops) == "a");
  CHECK(cut_at_stop(" \n ", stops).empty());
  CHECK(cut_at_stop("### Instruction: only", stops).empty());
  CHECK(cut_at_stop("### Instruction without colon", stops) == "### Instruction without colon");
  const std::vector<std::string> more{"END"};
  CHECK(cut_at_stop("one END two", stop_texts("none", more)) == "one");
  CHECK(cut_at_stop("### Instruction: stays", stop_texts("none", {})) == "### Instruction: stays");
}

TEST_CASE("cut with alpaca marks agrees with the R^3 code", "[rewards][golden]") {
  const auto stops = stop_texts("alpaca", {});
  const auto golden = test::golden("r3.json");
  for (const auto& row : golden["words"]) {
    const auto text = row["text"].get<std::string>();
    INFO(text);
    CHECK(equal(measure(cut_at_stop(text, stops)), row["alpaca"]));
  }
}

// The R^3 code joins the stop texts into an unescaped regular expression: "[INST]" is then a class
// of letters, and
// "<|user|>" three alternatives. The literal cut keeps these texts; none of the texts holds a real
// role mark of the format.
TEST_CASE("cut with llama-2, zephyr and tulu marks is literal", "[rewards][golden]") {
  const auto [theirs, ours] = GENERATE(std::pair{"llama-2", "llama2"},
                                       std::pair{"zephyr", "zephyr"}, std::pair{"tulu", "zephyr"});
  const auto stops = stop_texts(ours, {}), no_marks = stop_texts("none", {});
  int different = 0;
  const auto golden = test::golden("r3.json");
  for (const auto& row : golden["words"]) {
    const auto text = row["text"].get<std::string>();
    INFO(theirs << ": " << text);
    const Measured literal = measure(cut_at_stop(text, stops));
    const bool has_mark =
        text.find(stops[0]) != std::string::npos || text.find(stops[1]) != std::string::npos;
    if (!has_mark) {
      const Measured unmarked = measure(cut_at_stop(text, no_marks));
      CHECK(literal.length == unmarked.length);
      CHECK(literal.repetition == unmarked.repetition);
    }
    if (!equal(literal, row[theirs])) {
      ++different;
      CHECK(literal.length > test::number(row[theirs]["length_incentive"]));
    }
  }
  CHECK(different > 0);
}

// What the authors' code does with "[INST]" and "[/INST]": it cuts at the first of their letters.
TEST_CASE("cut at the letters of a role mark is the R^3 code's", "[rewards][golden]") {
  const std::vector<std::string> letters{"I", "N", "S", "T", "/"};
  const auto stops = stop_texts("none", letters);
  const auto golden = test::golden("r3.json");
  for (const auto& row : golden["words"]) {
    const auto text = row["text"].get<std::string>();
    INFO(text);
    CHECK(equal(measure(cut_at_stop(text, stops)), row["llama-2"]));
  }
}

TEST_CASE("known differences of the literal cut", "[rewards][unit]") {
  // Verified against the R^3 code: it keeps 0 and 2 words of these.
  CHECK(cut_at_stop("The answer is Paris.", stop_texts("llama2", {})) == "The answer is Paris.");
  CHECK(cut_at_stop("Ask the user for 3 > 2.", stop_texts("zephyr", {})) ==
        "Ask the user for 3 > 2.");
}

TEST_CASE("a character that was cut in two is dropped, other malformed text refused",
          "[rewards][unit]") {
  CHECK(readable_response("caf\xC3") == "caf");
  CHECK(readable_response("ok \xF0\x9F\x98") == "ok ");
  CHECK(readable_response("caf\xC3\xA9") == "caf\xC3\xA9");
  CHECK(readable_response("").empty());
  const std::string bad = GENERATE("\xFF", "caf\xC3(", "\xA9 x", "\xED\xA0\x80", "a\xC3\xC3");
  CHECK_THROWS_AS(readable_response(bad), DataError);
}

TEST_CASE("a query is the user's turns", "[rewards][unit]") {
  const std::vector<Message> chat{{"system", "Be kind."},
                                  {"user", "Write a poem.\n\n### Input:\nUse  silver."},
                                  {"assistant", "No."},
                                  {"user", "\n Please:\t \n"}};
  CHECK(clean_query(chat) == "Write a poem. Use silver. Please:");
  CHECK(clean_query(std::vector<Message>{{"user", "Translate this:\n"}}) == "Translate this");
  CHECK(clean_query(std::vector<Message>{{"user",
                                          "a\xC2\xA0\xE2\x80\x83 b\x1C"
                                          "c</s>"}}) == "a b c");
  CHECK(clean_query(std::vector<Message>{{"system", "alone"}}).empty());
  CHECK(clean_query({}).empty());
}

TEST_CASE("windows cover the text", "[rewards][unit]") {
  const std::string text = " one two,  three four ";
  const auto one = [](std::string_view) { return std::size_t{1}; };
  CHECK(word_windows(text, 0, one) == std::vector<std::string>{text});
  CHECK(word_windows(text, 5, one) == std::vector<std::string>{text});
  CHECK(word_windows(text, 2, one) == std::vector<std::string>{"one two", ",  three", "four"});
  // One token a character: "three" is longer than the window and stands alone.
  const auto characters = [](std::string_view word) { return word.size(); };
  CHECK(word_windows(text, 4, characters) ==
        std::vector<std::string>{"one", "two,", "three", "four"});
  CHECK(word_windows("", 4, one) == std::vector<std::string>{""});
}
