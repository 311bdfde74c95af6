#pragma once
#include <stdexcept>
#include <string>

namespace plumb::service {

/// Why a request is refused: an HTTP status, a sentence for the client, and the field at fault.
class Problem : public std::runtime_error {
 public:
  Problem(int status, const std::string& message, std::string field = "")
      : std::runtime_error(message), status_(status), field_(std::move(field)) {}
  int status() const { return status_; }
  const std::string& field() const { return field_; }

 private:
  int status_;
  std::string field_;
};

}  // namespace plumb::service
