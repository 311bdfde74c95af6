#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.hpp"

namespace plumb::service {

/// Options of `plumb serve`, section [serve].
struct ServeOptions {
  std::string host = "127.0.0.1";
  std::int64_t port = 8000;
  bool insecure = false;
  std::string key_file = "";
  std::string key_env = "PLUMB_API_KEY";
  bool public_metrics = false;

  std::vector<std::string> modules{"r3"};
  std::string model_name = "plumb";
  std::string policy = "";
  std::string tokenizer = "";
  std::string chat_template = "auto";
  std::string device = "auto";
  std::string dtype = "auto";
  std::int64_t threads = 1;

  std::int64_t max_batch_tokens = 4096;
  std::int64_t max_wait_us = 0;
  bool batch_invariant = false;
  std::int64_t max_queue_tokens = 262144;
  std::int64_t max_queue_requests = 4096;
  std::int64_t overload_status = 503;
  std::int64_t timeout_ms = 120000;

  std::int64_t max_body_mb = 16;
  std::int64_t max_bodies_mb = 256;
  std::int64_t max_items = 1024;
  std::int64_t max_header_kb = 16;
  std::int64_t max_length = 0;
  std::string truncation = "error";
  std::int64_t max_connections = 8192;

  double idle_timeout = 75;
  double header_timeout = 10;
  double body_timeout = 30;
  double write_timeout = 30;
  double drain_delay = 0;
  double drain_timeout = 30;

  std::int64_t cache_mb = 64;
  std::string store = "";
  std::vector<std::string> route_scalar;
  std::string request_log = "-";

  static void describe(auto& self, auto&& field) {
    field("host", self.host, "address to listen on; one that others reach needs a key");
    field("port", self.port, Range{0, 65535}, "TCP port; 0: any free one, named in the log");
    field("insecure", self.insecure, "listen on a public address without a key");
    field("key_file", self.key_file, "file with one access key a line; # starts a comment");
    field("key_env", self.key_env, "environment variable that holds an access key");
    field("public_metrics", self.public_metrics, "/metrics needs no key");

    field("modules", self.modules,
          "reward modules to load, see `plumb list rewards`; the first one answers where a client "
          "names none");
    field("model_name", self.model_name,
          "another name of the first module, for clients that must send one");
    field("policy", self.policy,
          "language model for /v1/completions and /v1/chat/completions; empty: none");
    field("tokenizer", self.tokenizer,
          "model whose tokenizer counts tokens and reads token ids; empty: the policy's, or "
          "counts are estimated from bytes");
    field("chat_template", self.chat_template, "chat format of the policy; auto: its own");
    field("device", self.device, Choices{{"auto", "cpu", "cuda"}}, "where models run");
    field("dtype", self.dtype, Choices{{"auto", "float32", "bfloat16"}},
          "type of matrix products of the policy");
    field("threads", self.threads, Range{0, 4096},
          "threads of one matrix product; 0 = all cores (the I/O thread needs some time, too)");

    field("max_batch_tokens", self.max_batch_tokens, Range{1, 1e9},
          "tokens that one batch takes from the queue");
    field("max_wait_us", self.max_wait_us, Range{0, 1e6},
          "time an idle model waits for a fuller batch; useful on a GPU");
    field("batch_invariant", self.batch_invariant,
          "score every text alone: equal to the last bit in any company, but slower");
    field("max_queue_tokens", self.max_queue_tokens, Range{1, 1e12},
          "tokens that may wait; a request that does not fit is refused at once, unless it is "
          "alone");
    field("max_queue_requests", self.max_queue_requests, Range{1, 1e9}, "requests that may wait");
    field("overload_status", self.overload_status, Range{400, 599},
          "HTTP status of a refusal: 503 (clients of RL trainers retry it) or 429");
    field("timeout_ms", self.timeout_ms, Range{1, 1e9},
          "longest time to a reply, then 504; X-Request-Timeout-Ms of a request may shorten it");

    field("max_body_mb", self.max_body_mb, Range{1, 4096}, "largest request body, MiB");
    field("max_bodies_mb", self.max_bodies_mb, Range{1, 1e6},
          "memory for all request bodies being read, MiB");
    field("max_items", self.max_items, Range{1, 1e9}, "texts of one request");
    field("max_header_kb", self.max_header_kb, Range{1, 1024}, "largest request head, KiB");
    field("max_length", self.max_length, Range{0, 1e9},
          "longest prompt + response in tokens; 0: no limit but the modules' own");
    field("truncation", self.truncation, Choices{{"error", "prompt"}},
          "a longer text: refuse it (422), or cut the prompt's beginning and say so");
    field("max_connections", self.max_connections, Range{1, 1e6},
          "open connections; further ones get a 503");

    field("idle_timeout", self.idle_timeout, Range{0.01, 1e6}, "seconds between two requests");
    field("header_timeout", self.header_timeout, Range{0.01, 1e6}, "seconds for a request's head");
    field("body_timeout", self.body_timeout, Range{0.01, 1e6}, "seconds for a request's body");
    field("write_timeout", self.write_timeout, Range{0.01, 1e6}, "seconds for a reply");
    field("drain_delay", self.drain_delay, Range{0, 1e6},
          "seconds between SIGTERM (/ready says 503) and the end of accepting");
    field("drain_timeout", self.drain_timeout, Range{0, 1e6},
          "seconds that requests in flight may take after that");

    field("cache_mb", self.cache_mb, Range{0, 1e6},
          "memory for scores of (module, text) pairs seen before, MiB; 0 = off");
    field("store", self.store,
          "database that keeps every score, read back into the cache at the start; empty: none");
    field("route_scalar", self.route_scalar,
          "paths that answer one sample {\"prompt\", \"response\", \"label\"} with a bare number");
    field("request_log", self.request_log,
          "file of one JSON line a request (no texts, no keys); - = standard output, empty = off");
  }
};

}  // namespace plumb::service
