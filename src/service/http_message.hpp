#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plumb::service {

/// A request without anything of the HTTP library: the service is tested without sockets.
struct HttpRequest {
  std::string method;                                        // upper case
  std::string path;                                          // without the query
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string id;  // of this request; echoed as X-Request-Id

  /// The first header of this name (lower case), or "".
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct Reply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

/// What the log line of a request tells besides its route and status.
struct RequestCosts {
  std::int64_t items = 0;
  std::int64_t tokens = 0;
  std::int64_t truncated = 0;     // items whose prompt was cut
  std::int64_t queue_us = 0;      // from admission to the first batch
  std::int64_t inference_us = 0;  // of the batches it was in
};

}  // namespace plumb::service
