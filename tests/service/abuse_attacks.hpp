#pragma once
#include <sys/socket.h>

#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "service/http_client.hpp"

/// What a hostile or broken client does to the service. Every attack ends within a few seconds.
namespace plumb::test {

class Attacker {
 public:
  /// @param failed  is told what the service must not do
  Attacker(std::uint16_t port, std::uint64_t seed, std::function<void(const std::string&)> failed)
      : port_(port), random_(seed), failed_(std::move(failed)) {}

  static constexpr int kAttacks = 18;

  void attack(int number) {
    Client client(port_);
    switch (number) {
      case 0:
        return garbage(client);
      case 1:
        return mutated(client);
      case 2:
        return drip(client, head("/get_reward", 20));
      case 3:
        return drip(client, head("/get_reward", 4000) + "{\"query\":[\"");
      case 4:
        return half_closed(client);
      case 5:
        return claims_much(client);
      case 6:
        return sends_much(client);
      case 7:
        return deep_json(client);
      case 8:
        return smuggling(client);
      case 9:
        return bad_chunks(client);
      case 10:
        return leaves_early(client);
      case 11:
        return pipelined(client);
      case 12:
        return huge_head(client);
      case 13:
        return many_texts(client);
      case 14:
        return leaves_a_stream(client);
      case 15:
        return never_reads(client);
      case 16:
        return wrong_types(client);
      default:
        return module_failures(client);
    }
  }
  void attack() { attack(below(kAttacks)); }

  static std::string head(const std::string& path, std::size_t length,
                          const std::string& more = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + more +
           "Content-Length: " + std::to_string(length) + "\r\n\r\n";
  }
  static std::string query(const std::string& text) {
    const std::string body = "{\"query\":[\"" + text + "\"]}";
    return head("/get_reward", body.size()) + body;
  }

 private:
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  std::string bytes(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += static_cast<char>(below(256));
    return out;
  }
  void nap(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

  /// Takes a reply, if there is one, and checks that it is one of a sound server.
  /// Seconds within which a reply that must come comes: a new connection waits behind the crowd's.
  static constexpr double kOwed = 30;

  Answer take(Client& client, bool may_fail = false, double seconds = 3) {
    Answer answer = client.receive(seconds);
    if (answer.status == 500 && !may_fail) failed_("status 500: " + answer.body.substr(0, 300));
    if (answer.status != 0 && (answer.status < 200 || answer.status > 599))
      failed_("status " + std::to_string(answer.status));
    return answer;
  }

  void garbage(Client& client) {
    client.send(bytes(1 + below(2000)));
    if (below(2) == 0) take(client);
  }
  void mutated(Client& client) {
    std::string text = query("hello");
    for (int i = 1 + below(4); i > 0; --i) {
      const auto at = static_cast<std::size_t>(below(static_cast<int>(text.size())));
      switch (below(3)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.insert(at, bytes(1 + below(20)));
          break;
        default:
          text.erase(at, static_cast<std::size_t>(1 + below(20)));
      }
    }
    client.send(text);
    take(client, false, 1);
  }
  void drip(Client& client, const std::string& text) {
    for (std::size_t i = 0; i < text.size() && i < 100; ++i) {
      if (!client.send(text.substr(i, 1))) return;
      nap(15);
    }
    take(client);
  }
  void half_closed(Client& client) {
    const std::string text = query("hello");
    const bool whole = below(2) == 0;
    client.send(whole ? text : text.substr(0, static_cast<std::size_t>(below(150))));
    client.shut_sending();
    const Answer answer = take(client, false, kOwed);
    if (whole && answer.status == 0) failed_("a half-closed client got no reply");
  }
  void claims_much(Client& client) {
    client.send(head("/get_reward", std::size_t{1} << (20 + below(40))) + bytes(below(5000)));
    if (below(2) == 0) take(client);
  }
  void sends_much(Client& client) {
    const std::string body = "{\"query\":[\"" + std::string(5U << 20U, 'x') + "\"]}";
    if (below(2) == 0) {
      client.send(head("/get_reward", body.size()) + body);
    } else {
      client.send("POST /get_reward HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (int i = 0; i < 5 && client.send("100000\r\n" + std::string(1 << 20, 'y') + "\r\n");
           ++i) {
      }
    }
    take(client);
  }
  void deep_json(Client& client) {
    const char* const opens[] = {"[", "{\"a\":", "[{\"query\":"};
    const std::string open = opens[below(3)];
    std::string body;
    for (int i = 100 * (1 + below(1000)); i > 0; --i) body += open;
    client.send(head("/get_reward", body.size()) + body);
    const Answer answer = take(client);
    if (answer.status == 200) failed_("unclosed JSON was answered 200");
  }
  void smuggling(Client& client) {
    const char* const fields[] = {"Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n",
                                  "Transfer-Encoding: chunked, identity\r\n",
                                  "Transfer-Encoding: xchunked\r\n"};
    client.send(head("/get_reward", 10, fields[below(4)]) + "0\r\n\r\n" + query("inner"));
    const Answer answer = take(client);
    if (answer.status == 200) failed_("two body lengths were answered 200");
  }
  void bad_chunks(Client& client) {
    const std::string sizes[] = {
        "zz", "-1", "ffffffffffffffff", "7fffffffffffffff", "", "5;" + std::string(20000, 'e')};
    client.send(
        "POST /get_reward HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n" +
        sizes[below(6)] + "\r\n{\"a\":1}\r\n0\r\n\r\n");
    const Answer answer = take(client);
    if (answer.status == 200) failed_("bad chunks were answered 200");
  }
  void leaves_early(Client& client) {
    const std::string text = query(std::string(static_cast<std::size_t>(below(20000)), 'x'));
    client.send(below(2) == 0 ? text
                              : text.substr(0, static_cast<std::size_t>(
                                                   below(static_cast<int>(text.size())))));
    if (below(2) == 0) nap(below(5));
    if (below(2) == 0) client.reset();
  }
  void pipelined(Client& client) {
    const int count = 1 + below(150);
    std::string text;
    for (int i = 0; i < count; ++i) text += query(std::string(static_cast<std::size_t>(i), 'x'));
    client.send(text);
    if (below(4) == 0) return client.reset();
    for (int i = 0; i < count; ++i) {
      const Answer answer = take(client, false, kOwed);
      if (answer.status == 503) continue;
      if (answer.status != 200) return failed_("a pipelined request got no reply");
      if (answer.json()["rewards"][0] != static_cast<double>(i)) failed_("replies out of order");
    }
  }
  void huge_head(Client& client) {
    std::string text = "GET /info HTTP/1.1\r\n";
    if (below(2) == 0) {
      text += "X: " + std::string(100000, 'a') + "\r\n";
    } else {
      for (int i = 0; i < 5000; ++i) text += "X-" + std::to_string(i) + ": y\r\n";
    }
    client.send(text + "\r\n");
    take(client);
  }
  void many_texts(Client& client) {
    std::string body = "{\"query\":[\"";
    for (int i = below(1500); i > 0; --i) body += "abc\",\"";
    body += "\"]}";
    client.send(head("/get_reward", body.size()) + body);
    if (below(2) == 0) take(client, false, 10);
  }
  void leaves_a_stream(Client& client) {
    const std::string body = "{\"prompt\":\"x\",\"max_tokens\":500,\"stream\":true}";
    client.send(head("/v1/completions", body.size()) + body);
    if (below(2) == 0) nap(below(20));
    if (below(2) == 0) client.reset();
  }
  void never_reads(Client& client) {
    std::string text;
    for (int i = 0; i < 300; ++i) text += "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send(text);
    nap(1500);
  }
  void wrong_types(Client& client) {
    const char* const paths[] = {"/v1/rewards",
                                 "/get_reward",
                                 "/classify",
                                 "/pooling",
                                 "/v1/embeddings",
                                 "/score",
                                 "/v1/score",
                                 "/rerank",
                                 "/predict",
                                 "/v1/score/evaluation",
                                 "/tokenize",
                                 "/detokenize",
                                 "/v2/models/reward_model/infer",
                                 "/v1/completions",
                                 "/v1/chat/completions",
                                 "/reward"};
    const char* const names[] = {
        "samples",  "query",  "input",     "text",   "text_1", "text_2",  "documents", "inputs",
        "messages", "prompt", "response",  "tokens", "texts",  "model",   "items",     "max_tokens",
        "prompts",  "labels", "input_ids", "stop",   "return", "modules", "parameters"};
    std::string body = "{";
    for (const char* name : names) {
      if (below(2) == 0) continue;
      body += (body.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + value(3);
    }
    body += "}";
    client.send(head(paths[below(16)], body.size()) + body);
    take(client);
  }
  std::string value(int depth) {
    static const char* const leaves[] = {
        "null",        "true",        "1",
        "-1",          "1e300",       "0.5",
        "\"\"",        "\"x\"",       "9223372036854775808",
        "\"\\ud800\"", "\"\\u0000\"", "{}",
        "[]",          "NaN",         "\"<|im_start|>user\\nx<|im_end|>\""};
    const int kind = below(depth > 0 ? 5 : 1);
    if (kind < 3) return leaves[below(15)];
    std::string out = kind == 3 ? "[" : "{";
    static const char* const keys[] = {"role", "content", "prompt", "response", "name", "datatype",
                                       "data", "shape",   "text",   "messages", "type"};
    const int first = below(11);
    for (int i = 0; i < below(4); ++i) {
      if (i > 0) out += ",";
      if (kind == 4) out += "\"" + std::string(keys[(first + i) % 11]) + "\":";
      out += value(depth - 1);
    }
    return out + (kind == 3 ? "]" : "}");
  }
  void module_failures(Client& client) {
    const char* const texts[] = {"THROW", "FAIL", "NAN", "SHORT"};
    client.send(query(texts[below(4)]));
    const Answer answer = take(client, true, 10);
    if (answer.status == 200 && answer.body.find("null") != std::string::npos)
      failed_("a failed score was answered as null");
  }

  std::uint16_t port_;
  std::mt19937_64 random_;
  std::function<void(const std::string&)> failed_;
};

}  // namespace plumb::test
