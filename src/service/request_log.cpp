#include "service/request_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "core/clock.hpp"
#include "core/error.hpp"

namespace plumb::service {

RequestLog::RequestLog(const std::string& file) {
  if (file.empty()) return;
  file_ = file == "-" ? stdout : std::fopen(file.c_str(), "ae");
  if (file_ == nullptr)
    throw DataError(
        cat("serve.request_log = ", file, ": cannot be opened: ", std::strerror(errno)));
}

RequestLog::~RequestLog() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void RequestLog::write(const Line& line) {
  if (file_ == nullptr) return;
  const nlohmann::ordered_json row{{"ts", utc_now()},
                                   {"id", line.id},
                                   {"client", line.client},
                                   {"method", line.method},
                                   {"route", line.route},
                                   {"status", line.status},
                                   {"items", line.costs.items},
                                   {"tokens", line.costs.tokens},
                                   {"queue_us", line.costs.queue_us},
                                   {"infer_us", line.costs.inference_us},
                                   {"total_us", line.total_us},
                                   {"bytes_in", line.bytes_in},
                                   {"bytes_out", line.bytes_out}};
  const std::string text =
      row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), file_);
  std::fflush(file_);
}

std::string request_id(std::string_view given) {
  const bool good = !given.empty() && given.size() <= 128 && std::ranges::all_of(given, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (good) return std::string(given);
  static thread_local std::mt19937_64 random(std::random_device{}());
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string id(24, '0');
  for (char& c : id) c = kDigits[random() % 16];
  return id;
}

}  // namespace plumb::service
