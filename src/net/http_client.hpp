#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "net/http_url.hpp"
#include "net/lookup.hpp"

namespace plumb {

/// No reply: refused, closed, timed out, too large or not HTTP. Says which, and the server's name.
class NetworkError : public DataError {
 public:
  using DataError::DataError;
};

struct HttpReply {
  int status = 0;
  std::string body;
  std::string retry_after;  // header, empty if there was none
};

/// A blocking HTTP/1.1 client that keeps its connection. One thread at a time. Redirects are not
/// followed.
class HttpClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  struct Options {
    double timeout = 60;  // seconds for a whole request, the host's lookup included
    std::size_t max_reply_bytes = 64U << 20U;  // of the body
    HostLookup lookup = system_lookup;
  };

  HttpClient(HttpUrl url, Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// A request whose repetition does no harm: when a kept connection turns out to be closed, it is
  /// sent again on a new one. Throws NetworkError.
  HttpReply get(const std::string& target, const Headers& headers);
  HttpReply post(const std::string& target, const std::string& body, const Headers& headers);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb
