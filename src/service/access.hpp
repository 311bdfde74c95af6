#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/hash.hpp"
#include "service/options.hpp"

namespace plumb::service {

/// Who may use the service. Keys are kept as SHA-256 and compared in constant time.
class Access {
 public:
  explicit Access(const std::vector<std::string>& keys);
  /// Keys of the options' file and environment variable. Throws DataError for a file that cannot be
  /// read, UsageError for a key shorter than 8 characters, or if the address can be reached from
  /// elsewhere without a key and `insecure` is not set.
  static Access load(const ServeOptions& options);

  bool is_open() const { return keys_.empty(); }
  /// @param authorization  the header: `Bearer KEY`, or `Basic base64(USER:KEY)` with any user
  bool allows(std::string_view authorization) const;

 private:
  std::vector<Sha256::Digest> keys_;
};

/// True for 127.0.0.0/8, ::1 and localhost.
bool is_loopback(std::string_view host);

}  // namespace plumb::service
