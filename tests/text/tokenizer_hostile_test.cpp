#include "core/error.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

/// The error of loading a folder whose tokenizer.json is `text`.
std::string error_of(const std::string& text) {
  static const test::TempDir folder;
  test::write_text(folder / "tokenizer.json", text);
  try {
    load_tokenizer(folder.path());
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

template <class Change>
void check_refused(const std::string& reason, Change change) {
  nlohmann::json json = test::tiny_json();
  change(json);
  const std::string error = error_of(json.dump());
  INFO("error: " << error);
  CHECK(error.find("tokenizer.json") != std::string::npos);
  CHECK(error.find(reason) != std::string::npos);
}

}  // namespace

TEST_CASE("tokenizer.json: what cannot be is refused with file and reason", "[unit]") {
  using nlohmann::json;
  check_refused("belongs to two tokens", [](json& j) { j["model"]["vocab"]["x"] = 8; });
  check_refused("has no token", [](json& j) { j["model"]["vocab"]["x"] = 10; });
  check_refused("has id -1", [](json& j) { j["model"]["vocab"]["x"] = -1; });
  check_refused("has id 4000000000", [](json& j) { j["model"]["vocab"]["x"] = 4000000000; });
  check_refused("whole number", [](json& j) { j["model"]["vocab"]["x"] = "9"; });
  check_refused("whole number", [](json& j) { j["model"]["vocab"]["x"] = 9.5; });
  check_refused("whole number", [](json& j) { j["model"]["vocab"]["x"] = 1e300; });
  check_refused("has id -1", [](json& j) { j["model"]["vocab"]["x"] = ~std::uint64_t{0}; });
  check_refused("max_input_chars_per_word", [](json& j) {
    j["model"] = {
        {"type", "WordPiece"}, {"vocab", {{"a", 0}, {"<unk>", 1}, {"<s>", 2}}}, {"unk_token", "a"}};
    j["model"]["max_input_chars_per_word"] = 100000;
    j["added_tokens"] = json::array();
  });
  check_refused("content of 1000 bytes", [](json& j) {
    j["normalizer"] = {
        {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1000, 'b')}};
  });
  check_refused("decoder Strip", [](json& j) {
    j["decoder"] = {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}};
  });
  check_refused("model.vocab", [](json& j) { j["model"]["vocab"] = {1, 2}; });
  check_refused("no token 'q'", [](json& j) { j["model"]["merges"].push_back("q a"); });
  check_refused("no token 'ca'", [](json& j) { j["model"]["merges"].push_back("c a"); });
  check_refused("expected two tokens", [](json& j) { j["model"]["merges"].push_back("abc"); });
  check_refused("expected two tokens", [](json& j) { j["model"]["merges"].push_back("a b c"); });
  check_refused("expected two tokens",
                [](json& j) { j["model"]["merges"].push_back(json::array({"a"})); });
  check_refused("expected two tokens", [](json& j) { j["model"]["merges"].push_back(7); });
  check_refused("model.merges", [](json& j) { j["model"]["merges"] = "a b"; });
  check_refused("unk_token", [](json& j) { j["model"]["unk_token"] = "<none>"; });
  check_refused("'Unigram' is not supported", [](json& j) { j["model"]["type"] = "Unigram"; });
  check_refused("model.dropout", [](json& j) { j["model"]["dropout"] = 0.5; });
  check_refused("model.end_of_word_suffix",
                [](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; });
  check_refused("pre_tokenizer 'Odd'", [](json& j) { j["pre_tokenizer"] = {{"type", "Odd"}}; });
  check_refused("normalizer 'Precompiled'", [](json& j) {
    j["normalizer"] = {{"type", "Precompiled"}};
  });
  check_refused("decoder 'CTC'", [](json& j) { j["decoder"] = {{"type", "CTC"}}; });
  check_refused("regular expression", [](json& j) {
    j["pre_tokenizer"] = {
        {"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}};
  });
  check_refused("belongs to two tokens",
                [](json& j) { j["added_tokens"].push_back(test::added(8, "x", true)); });
  check_refused("has two ids",
                [](json& j) { j["added_tokens"].push_back(test::added(9, "abc", true)); });
  check_refused("has no token",
                [](json& j) { j["added_tokens"].push_back(test::added(2000000, "x", true)); });
  check_refused("model", [](json& j) { j.erase("model"); });
  check_refused("model", [](json& j) { j["model"] = 3; });
}

TEST_CASE("tokenizer.json: cut off at any byte, or nested without end", "[unit]") {
  const std::string whole = test::tiny_json().dump();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(error_of(whole.substr(0, size)).find("tokenizer.json") != std::string::npos);
  }
  CHECK(error_of(std::string(1000000, '[')).find("levels deep") != std::string::npos);
  std::string nested = R"({"model":)";
  for (int i = 0; i < 100000; ++i) nested += R"({"a":)";
  CHECK(error_of(nested).find("levels deep") != std::string::npos);
  CHECK(error_of("[1]").find("expected an object") != std::string::npos);
}

TEST_CASE("tokenizer.json: every byte changed is read or refused", "[unit]") {
  const std::string whole = test::tiny_json().dump();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char byte : {'"', '9'}) {
      std::string changed = whole;
      changed[at] = byte;
      error_of(changed);  // anything but a crash or an error of another kind
    }
  }
  SUCCEED();
}

TEST_CASE("other files of the folder are checked too", "[unit]") {
  const auto fails = [](const nlohmann::json& config) {
    CHECK_THROWS_AS(test::load(test::tiny_json(), config), DataError);
  };
  fails({{"added_tokens_decoder", {{"x", {{"content", "y"}}}}}});
  fails({{"added_tokens_decoder", {{"99999999999", {{"content", "y"}}}}}});
  fails({{"added_tokens_decoder", {{"9", 3}}}});
  fails({{"do_lower_case", "maybe"}});
  const test::TempDir empty;
  CHECK_THROWS_AS(load_tokenizer(empty.path()), DataError);
  CHECK_THROWS_AS(load_tokenizer(empty / "absent"), DataError);
}

TEST_CASE("GGUF vocabularies that contradict themselves are data errors", "[unit]") {
  GgufVocabulary good;
  good.model = "gpt2";
  good.pre = "gpt-2";
  good.tokens = {"a", "b", "ab"};
  good.token_types = {1, 1, 1};
  good.merges = {"a b"};
  CHECK(make_tokenizer(good)->encode("ab") == test::Ids{2});
  const auto fails = [&](const char* reason, auto change) {
    GgufVocabulary bad = good;
    change(bad);
    CHECK_THROWS_WITH(make_tokenizer(bad), Catch::Contains(reason));
  };
  fails("tokenizer.ggml.model", [](GgufVocabulary& v) { v.model = "odd"; });
  fails("smollm", [](GgufVocabulary& v) { v.pre = "odd"; });
  fails("tokens", [](GgufVocabulary& v) { v.tokens.clear(); });
  fails("two ids", [](GgufVocabulary& v) { v.tokens[1] = "a"; });
  fails("not UTF-8", [](GgufVocabulary& v) { v.tokens[1] = "\xFF"; });
  fails("not UTF-8", [](GgufVocabulary& v) { v.merges[0] = "a \xFF"; });
  fails("no token", [](GgufVocabulary& v) { v.merges.push_back("a c"); });
  fails("token_type", [](GgufVocabulary& v) { v.token_types.pop_back(); });
  fails("bos_token_id", [](GgufVocabulary& v) { v.bos = 3; });
  fails("[UNK]", [](GgufVocabulary& v) { v.model = "bert"; });
}
