#pragma once
#include <cstdio>
#include <string>

#include "service/http_message.hpp"

namespace plumb::service {

/// One JSON line a request: time, id, route, status, costs, times. Texts and keys never get here.
class RequestLog {
 public:
  struct Line {
    std::string id, method, route, client;
    int status = 0;
    std::int64_t bytes_in = 0, bytes_out = 0, total_us = 0;
    RequestCosts costs;
  };
  /// @param file  - = standard output, empty = none. Throws DataError if it cannot be opened.
  explicit RequestLog(const std::string& file);
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;
  void write(const Line& line);

 private:
  std::FILE* file_ = nullptr;
};

/// X-Request-Id if it is 1 to 128 characters of [A-Za-z0-9._-], else a new random id.
std::string request_id(std::string_view given);

}  // namespace plumb::service
