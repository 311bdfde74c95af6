#include <cmath>
#include <cstring>

#include "core/base64.hpp"
#include "service/test_server.hpp"

#include "support/catch.hpp"

/// Every dialect against the reply shape of its clients. Values follow FakeReward: bytes of the
/// response - bytes of the prompt / 100.

using namespace plumb;
using nlohmann::json;
using test::Answer;
using test::FakeReward;
using test::ReadyServer;

namespace {

/// One server for all cases of this file.
ReadyServer& server() {
  static ReadyServer shared([] {
    service::ServeOptions options;
    options.route_scalar = {"/rm"};
    return options;
  }());
  return shared;
}

json ok(const std::string& path, const json& body) { return server().ok(path, body); }

std::string chat(const std::string& prompt, const std::string& response) {
  return "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n" + response +
         "<|im_end|>\n";
}

}  // namespace

TEST_CASE("/v1/rewards: modules, components, token rewards, the client's ids", "[service][unit]") {
  const json reply =
      ok("/v1/rewards",
         {{"modules", {"other", "fake"}},
          {"samples",
           {{{"id", "x7"}, {"prompt", "ab"}, {"response", "hello"}, {"reference_answer", "r"}},
            {{"messages", {{{"role", "user"}, {"content", "abcd"}}}},
             {"response_token_ids", {104, 105, 256}}},
            {{"prompt", "p"}, {"response", "FAIL"}}}},
          {"return", {"components", "token_rewards"}}});
  CHECK(reply["object"] == "list");
  CHECK(reply["id"].get<std::string>().starts_with("rwd-"));
  CHECK(reply["model"] == "plumb");
  REQUIRE(reply["data"].size() == 3);
  const json& first = reply["data"][0];
  CHECK(first["index"] == 0);
  CHECK(first["id"] == "x7");
  CHECK(first["score"] == Approx(1000 + 4.98));
  CHECK(first["modules"]["fake"]["score"] == Approx(4.98));
  CHECK(first["modules"]["fake"]["raw"] == Approx(9.96));
  CHECK(first["modules"]["fake"]["components"] == json{{"bytes", 5.0}, {"branch", "r"}});
  CHECK(first["modules"]["fake"]["token_rewards"] == json(std::vector<double>(5, 1.0)));
  CHECK(first["prompt_tokens"] == 2);
  CHECK(first["response_tokens"] == 5);
  CHECK(first["truncated"] == false);
  CHECK_FALSE(first.contains("error"));
  const json& second = reply["data"][1];
  CHECK_FALSE(second.contains("id"));
  CHECK(second["modules"]["fake"]["score"] == Approx(1.96));
  CHECK(second["response_tokens"] == 3);
  const json& third = reply["data"][2];
  CHECK(third["score"].is_null());
  CHECK(third["error"] == "no score for this one");
  CHECK(reply["usage"] == json{{"prompt_tokens", 19},
                               {"total_tokens", 19},
                               {"completion_tokens", 0},
                               {"prompt_tokens_details", nullptr}});
  CHECK(ok("/v1/rewards", {{"samples", json::array()}})["data"] == json::array());
}

TEST_CASE("/v1/rewards: a request without any score is refused as a whole", "[service][unit]") {
  const auto sample = [](const char* response) {
    return json{{"samples", {{{"prompt", "p"}, {"response", response}}}}};
  };
  CHECK(server().post("/v1/rewards", sample("FAIL")).status == 422);
  const Answer nan = server().post("/v1/rewards", sample("NAN"));
  CHECK(nan.status == 500);
  CHECK(nan.json()["error"]["message"].get<std::string>().find("not finite") != std::string::npos);
  CHECK(server().post("/v1/rewards", sample("THROW")).status == 500);
  CHECK(server().post("/v1/rewards", sample("SHORT")).status == 500);
  CHECK(server().post("/v1/rewards", {{"modules", {"gone"}}, {"samples", json::array()}}).status ==
        404);
}

TEST_CASE("/get_reward: three keys, one number a query, empty shards", "[service][unit]") {
  const json reply = ok("/get_reward", {{"query", {chat("ab", "hello"), "abhello", "hello"}},
                                        {"prompts", {"unused", "ab", "zz"}},
                                        {"labels", {"l", nullptr, 3}},
                                        {"unknown", 1}});
  const json expected{4.98, 4.98, 4.98};
  for (const char* key : {"rewards", "scores"}) {
    REQUIRE(reply[key].size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(reply[key][i] == Approx(expected[i].get<double>()));
  }
  REQUIRE(reply["extra_logs"]["other"].size() == 3);
  CHECK(reply["extra_logs"]["other"][0] == Approx(1004.98));
  CHECK(ok("/get_reward", {{"query", json::array()}}) ==
        json{{"rewards", json::array()},
             {"scores", json::array()},
             {"extra_logs", {{"fake", json::array()}, {"other", json::array()}}}});
  CHECK(server().post("/get_reward", {{"queries", {"x"}}}).status == 400);
  CHECK(server().post("/get_reward", {{"query", {"a"}}, {"prompts", {"a", "b"}}}).status == 400);
  CHECK(server().post("/get_reward", {{"query", {"NAN"}}}).status == 500);
}

TEST_CASE("slime: the whole reply is one number", "[service][unit]") {
  CHECK(ok("/rm", {{"prompt", "ab"}, {"response", "hello"}, {"label", "l"}}) == Approx(4.98));
  CHECK(ok("/rm", {{"prompt", {{{"role", "user"}, {"content", "ab"}}}}, {"response", "hello"}}) ==
        Approx(4.98));
  CHECK(server().post("/rm", {{"prompt", "ab"}}).status == 400);
}

TEST_CASE("/classify and /v1/classify: raw by default, sigmoid when asked", "[service][unit]") {
  for (const char* path : {"/classify", "/v1/classify"}) {
    const json reply =
        ok(path, {{"model", "fake"}, {"input", chat("ab", "hello")}, {"activation", false}});
    CHECK(reply["id"].get<std::string>().starts_with("classify-"));
    CHECK(reply["object"] == "list");
    CHECK(reply["model"] == "fake");
    CHECK(reply["created"].is_number_integer());
    CHECK(reply["usage"]["prompt_tokens"] == 7);
    REQUIRE(reply["data"].size() == 1);
    CHECK(reply["data"][0]["probs"].back() == Approx(4.98));
    CHECK(reply["data"][0]["num_classes"] == 1);
    CHECK(reply["data"][0]["label"].is_null());
  }
  for (const char* name : {"use_activation", "activation", "normalize"}) {
    const json reply = ok("/classify", {{"input", json::array({"hello"})}, {name, true}});
    CHECK(reply["data"][0]["probs"][0] == Approx(1 / (1 + std::exp(-5.0))));
  }
  const json ids = ok("/classify", {{"input", {{104, 105}, {104}}}});
  CHECK(ids["data"][1]["index"] == 1);
  CHECK(ids["data"][0]["probs"][0] == Approx(2));
  CHECK(ok("/classify", {{"input", {104, 105}}})["data"].size() == 1);
  CHECK(ok("/classify", {{"input", json::array()}})["data"] == json::array());
  CHECK(
      ok("/classify", {{"messages",
                        {{{"role", "user"}, {"content", "ab"}},
                         {{"role", "assistant"}, {"content", "hello"}}}}})["data"][0]["probs"][0] ==
      Approx(4.98));
  CHECK(server().post("/classify", {{"input", 3}}).status == 400);
  CHECK(server().post("/classify", {{"input", {104, 9999}}}).status == 400);
  const Answer unknown = server().post("/classify", {{"model", "gone"}, {"input", "x"}});
  CHECK(unknown.status == 404);
  CHECK(unknown.json()["error"]["type"] == "NotFoundError");
  CHECK(unknown.json()["error"]["param"] == "model");
  CHECK(unknown.json()["error"]["code"] == 404);
}

TEST_CASE("/classify with text: SGLang's list, or one dict for one text", "[service][unit]") {
  const json one = ok("/classify", {{"text", chat("ab", "hello")}});
  CHECK(one["embedding"][0] == Approx(4.98));
  CHECK(one["meta_info"]["prompt_tokens"] == 7);
  const json many = ok("/classify", {{"text", {"hello", "you"}}});
  REQUIRE(many.size() == 2);
  CHECK(many[1]["embedding"][0] == Approx(3));
  CHECK(ok("/classify", {{"input_ids", {104, 105}}})["embedding"][0] == Approx(2));
  const Answer bad = server().post("/classify", {{"text", 1}});
  CHECK(bad.status == 400);
  CHECK(bad.json()["object"] == "error");
}

TEST_CASE("/pooling and /v1/embeddings: values, token rows, base64", "[service][unit]") {
  const json pooled = ok("/pooling", {{"input", "hello"}});
  CHECK(pooled["data"][0]["object"] == "pooling");
  CHECK(pooled["data"][0]["data"][0] == Approx(5));
  const json rows = ok("/pooling", {{"input", "abc"}, {"task", "token_classify"}});
  CHECK(rows["data"][0]["data"] == json{{1.0}, {1.0}, {1.0}});
  const json embedded = ok("/v1/embeddings", {{"model", "plumb"}, {"input", {"hello", "you"}}});
  CHECK(embedded["data"][1]["object"] == "embedding");
  CHECK(embedded["data"][1]["embedding"].back() == Approx(3));
  const json packed = ok("/v1/embeddings", {{"input", "hello"}, {"encoding_format", "base64"}});
  const auto bytes = decode_base64(packed["data"][0]["embedding"].get<std::string>());
  REQUIRE(bytes);
  REQUIRE(bytes->size() == 4);
  float value = 0;
  std::memcpy(&value, bytes->data(), 4);
  CHECK(value == 5.0F);
  CHECK(server().post("/pooling", {{"input", "x"}, {"encoding_format", "hex"}}).status == 400);
}

TEST_CASE("/score: pairs 1:1, 1:N and N:N under all their names", "[service][unit]") {
  for (const auto& [left, right] :
       std::vector<std::pair<const char*, const char*>>{{"text_1", "text_2"},
                                                        {"data_1", "data_2"},
                                                        {"queries", "documents"},
                                                        {"queries", "items"}}) {
    const json reply = ok("/score", {{left, "ab"}, {right, {"hello", "you"}}});
    CHECK(reply["id"].get<std::string>().starts_with("score-"));
    CHECK(reply["data"][0] == json{{"index", 0}, {"object", "score"}, {"score", 4.98}});
    CHECK(reply["data"][1]["score"] == Approx(2.98));
  }
  const json each = ok("/v1/score", {{"text_1", {"", "ab"}}, {"text_2", {"x", "x"}}});
  CHECK(each["data"][0]["score"] == Approx(1));
  CHECK(each["data"][1]["score"] == Approx(0.98));
  CHECK(server().post("/score", {{"text_1", {"a", "b"}}, {"text_2", {"x"}}}).status == 400);
  CHECK(server().post("/score", {{"text_1", "a"}}).status == 400);
}

TEST_CASE("/v1/rewards: a text with the ids it was sampled as is scored by the text",
          "[service][unit]") {
  const auto score = [](const json& sample) {
    return ok("/v1/rewards", {{"samples", {sample}}})["data"][0];
  };
  const json row =
      score({{"prompt", ""}, {"response", "hello"}, {"response_token_ids", {104, 105, 99999}}});
  CHECK(row["score"] == 5.0);
  CHECK(row["response_tokens"] == 3);
  const json body{{"samples", {{{"prompt", ""}, {"response_token_ids", {104, 99999}}}}}};
  CHECK(server().post("/v1/rewards", body).status == 400);
}

TEST_CASE("PUT /classify is POST /classify; elsewhere PUT is refused", "[service][unit]") {
  const auto sent = [](const std::string& method, const std::string& path,
                       const std::string& body) {
    return test::Client(server().port()).request(method, path, body);
  };
  const json body{{"text", {"hello"}}};
  const json put = sent("PUT", "/classify", body.dump()).json();
  CHECK(put[0]["embedding"] == ok("/classify", body)[0]["embedding"]);
  CHECK(sent("PUT", "/classify", "{").status == 400);
  for (const char* method : {"GET", "DELETE", "PATCH"}) {
    const Answer other = sent(method, "/classify", method == std::string("GET") ? "" : "{}");
    CHECK(other.status == 405);
    CHECK(other.headers.at("allow") == "POST, PUT");
  }
  const Answer elsewhere = sent("PUT", "/v1/classify", json{{"input", "a"}}.dump());
  CHECK(elsewhere.status == 405);
  CHECK(elsewhere.headers.at("allow") == "POST");
  CHECK(sent("PUT", "/health", "").status == 405);
}

TEST_CASE("/v1/score with query and items: SGLang's rows", "[service][unit]") {
  const json reply = ok("/v1/score", {{"query", "ab"}, {"items", {"hello", "you"}}});
  CHECK(reply["object"] == "scoring");
  REQUIRE(reply["scores"].size() == 2);
  CHECK(reply["scores"][0][0] == Approx(4.98));
  CHECK(server()
            .post("/v1/score", {{"query", "q"}, {"items", {"a"}}, {"label_token_ids", {1}}})
            .status == 400);
}

TEST_CASE("rerank: descending, top_n, documents of vLLM, Jina and Cohere", "[service][unit]") {
  for (const char* path : {"/rerank", "/v1/rerank", "/v2/rerank"}) {
    const json reply =
        ok(path, {{"query", ""}, {"documents", {"aa", {{"text", "aaaa"}}, "a"}}, {"top_n", 2}});
    REQUIRE(reply["results"].size() == 2);
    CHECK(reply["results"][0] ==
          json{{"index", 1}, {"document", {{"text", "aaaa"}}}, {"relevance_score", 4.0}});
    CHECK(reply["results"][1]["index"] == 0);
    CHECK(reply["usage"] == json{{"prompt_tokens", 7}, {"total_tokens", 7}});
    CHECK(reply["meta"]["billed_units"]["search_units"] == 1);
  }
  CHECK_FALSE(ok("/rerank",
                 {{"query", "q"}, {"documents", {"a"}}, {"return_documents", false}})["results"][0]
                  .contains("document"));
  CHECK(ok("/rerank", {{"query", "q"}, {"documents", json::array()}})["results"] == json::array());
}

TEST_CASE("text-embeddings-inference: /predict and /rerank", "[service][unit]") {
  CHECK(ok("/predict", {{"inputs", "hello"}}) == json{{{"score", 5.0}, {"label", "LABEL_0"}}});
  CHECK(ok("/predict", {{"inputs", {"ab", "hello"}}})[0]["score"] == Approx(4.98));  // one pair
  const json batch = ok("/predict", {{"inputs", {{"ab", "hello"}, json::array({"you"})}}});
  REQUIRE(batch.size() == 2);
  CHECK(batch[0][0]["score"] == Approx(4.98));
  CHECK(batch[1][0]["score"] == Approx(3));
  CHECK(ok("/predict", {{"inputs", "hello"}, {"raw_scores", false}})[0]["score"] ==
        Approx(1 / (1 + std::exp(-5.0))));
  const json ranked =
      ok("/rerank", {{"query", ""}, {"texts", {"a", "aaa"}}, {"return_text", true}});
  CHECK(ranked == json{{{"index", 1}, {"score", 3.0}, {"text", "aaa"}},
                       {{"index", 0}, {"score", 1.0}, {"text", "a"}}});
  const Answer empty = server().post("/rerank", {{"query", "q"}, {"texts", json::array()}});
  CHECK(empty.status == 400);
  CHECK(empty.json()["error_type"] == "Empty");
  const Answer bad = server().post("/predict", {{"inputs", 3}});
  CHECK(bad.status == 422);
  CHECK(bad.json()["error_type"] == "Validation");
}

TEST_CASE("tokenize and detokenize in both dialects", "[service][unit]") {
  const json reply = ok("/tokenize", {{"prompt", "hi"}, {"return_token_strs", true}});
  CHECK(reply["count"] == 2);
  CHECK(reply["tokens"] == json{104, 105});
  CHECK(reply["token_strs"] == json{"h", "i"});
  CHECK(ok("/detokenize", {{"tokens", {104, 105}}})["prompt"] == "hi");
  const json tei = ok("/tokenize", {{"inputs", "hi"}});
  CHECK(tei[0][1] ==
        json{{"id", 105}, {"text", "i"}, {"special", false}, {"start", 1}, {"stop", 2}});
}

TEST_CASE("LLaMA-Factory: scores of whole chats", "[service][unit]") {
  const json reply =
      ok("/v1/score/evaluation", {{"model", "fake"}, {"messages", {"hello", chat("ab", "hello")}}});
  CHECK(reply["object"] == "score.evaluation");
  CHECK(reply["model"] == "fake");
  REQUIRE(reply["scores"].size() == 2);
  CHECK(reply["scores"][1] == Approx(4.98));
  // The trainer's own client always sends this name.
  CHECK(ok("/v1/score/evaluation", {{"model", "model"}, {"messages", {"hello"}}})["scores"] ==
        json{5.0});
  const Answer empty = server().post("/v1/score/evaluation", {{"messages", json::array()}});
  CHECK(empty.status == 400);
  CHECK(empty.json().contains("detail"));
}

TEST_CASE("KServe v2: JSON tensors, binary tensors, metadata", "[service][unit]") {
  const std::string path = "/v2/models/reward_model/infer";
  const json reply = ok(path, {{"id", "7"},
                               {"inputs",
                                {{{"name", "sentences"},
                                  {"shape", {2, 1}},
                                  {"datatype", "BYTES"},
                                  {"data", {{"hello"}, {"you"}}}}}}});
  CHECK(reply["model_name"] == "reward_model");
  CHECK(reply["id"] == "7");
  CHECK(reply["outputs"][0]["name"] == "rewards");
  CHECK(reply["outputs"][0]["datatype"] == "FP32");
  CHECK(reply["outputs"][0]["shape"] == json{2, 1});
  CHECK(reply["outputs"][0]["data"] == json{5.0, 3.0});

  const std::string head =
      json{{"inputs",
            {{{"name", "sentences"},
              {"shape", {2, 1}},
              {"datatype", "BYTES"},
              {"parameters", {{"binary_data_size", 16}}}}}},
           {"outputs", {{{"name", "rewards"}, {"parameters", {{"binary_data", true}}}}}}}
          .dump();
  const std::string tail("\5\0\0\0hello\3\0\0\0you", 16);
  const std::string lengths =
      "Inference-Header-Content-Length: " + std::to_string(head.size()) + "\r\n";
  const Answer binary = test::Client(server().port()).request("POST", path, head + tail, lengths);
  REQUIRE(binary.status == 200);
  const auto size = std::stoul(binary.headers.at("inference-header-content-length"));
  REQUIRE(binary.body.size() == size + 8);
  float values[2];
  std::memcpy(values, binary.body.data() + size, 8);
  CHECK(values[0] == 5.0F);
  CHECK(values[1] == 3.0F);
  CHECK(test::Client(server().port())
            .request("POST", path, head + tail.substr(0, 12), lengths)
            .status == 400);

  const json tokens =
      ok(path, {{"inputs",
                 {{{"name", "tokens"}, {"datatype", "INT64"}, {"data", {{104, 105}, {104, 0}}}},
                  {{"name", "sequence_lengths"}, {"datatype", "INT64"}, {"data", {2, 1}}}}}});
  CHECK(tokens["outputs"][0]["data"] == json{2.0, 1.0});
  const Answer unknown = server().post("/v2/models/gone/infer", {{"inputs", json::array()}});
  CHECK(unknown.status == 404);
  CHECK(unknown.json()["error"].is_string());
  const auto get = [&](const std::string& what) {
    return test::Client(server().port()).request("GET", what);
  };
  CHECK(get("/v2/health/ready").status == 200);
  CHECK(get("/v2/models/reward_model/ready").status == 200);
  CHECK(get("/v2/models/reward_model").json()["outputs"][0]["name"] == "rewards");
  CHECK(get("/v2/models/reward_model/config").json()["max_batch_size"] == 1024);
  CHECK(get("/v2/models/gone").status == 404);
  CHECK(get("/v2/models/reward_model/versions/1/ready").status == 200);
  CHECK(get("/v2/models/reward_model/versions/1").json()["name"] == "reward_model");
  for (const char* gone : {"/v2/models/reward_model/versions/2/ready", "/v2/repository",
                           "/v2/models/reward_model/stats", "/v2/models/reward_model/x/ready",
                           "/v2/models/", "/v2/health/x"}) {
    CHECK(get(gone).status == 404);
    CHECK(get(gone).json()["error"].is_string());
  }
}

TEST_CASE("completions need a policy", "[service][unit]") {
  CHECK(server().post("/v1/completions", {{"prompt", "x"}}).status == 405);
  CHECK(server().post("/v1/chat/completions", {{"messages", json::array()}}).status == 405);
}

TEST_CASE("/v1/models and /info tell names, limits and what scores are", "[service][unit]") {
  const json models = test::Client(server().port()).request("GET", "/v1/models").json();
  CHECK(models["object"] == "list");
  REQUIRE(models["data"].size() == 3);
  CHECK(models["data"][0]["id"] == "plumb");
  CHECK(models["data"][0]["root"] == "fake");
  CHECK(models["data"][1]["reward"]["unit"] == "bytes");
  const json info = test::Client(server().port()).request("GET", "/info").json();
  CHECK(info["max_client_batch_size"] == 1024);
  CHECK(info["token_counts"] == "exact");
  const json tokenizer = test::Client(server().port()).request("GET", "/tokenizer_info").json();
  CHECK(tokenizer["eos_token"] == "<end>");
  CHECK(tokenizer["bos_token"].is_null());
}
