#include "service/access.hpp"

#include <arpa/inet.h>

#include <cstdlib>
#include <optional>
#include <sstream>

#include "core/base64.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/strings.hpp"

namespace plumb::service {
namespace {

constexpr std::size_t kShortestKey = 8, kMaxKeyFile = 1 << 20;

/// The word before the first space, compared without case, and what follows it.
std::optional<std::string_view> after_scheme(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') return std::nullopt;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if ((header[i] | 0x20) != scheme[i]) return std::nullopt;
  }
  return trim(header.substr(scheme.size() + 1));
}

}  // namespace

Access::Access(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) keys_.push_back(sha256(key));
}

Access Access::load(const ServeOptions& options) {
  std::vector<std::string> keys;
  const auto take = [&](std::string_view key, const std::string& where) {
    if (key.size() < kShortestKey)
      throw UsageError(cat(where, ": an access key of ", key.size(), " characters; expected ",
                           kShortestKey, " or more"));
    keys.emplace_back(key);
  };
  if (!options.key_file.empty()) {
    std::istringstream lines(read_file(options.key_file, kMaxKeyFile));
    for (std::string line; std::getline(lines, line);) {
      const std::string_view key = trim(line);
      if (!key.empty() && key.front() != '#') take(key, options.key_file);
    }
    if (keys.empty()) throw UsageError(cat(options.key_file, ": holds no access key"));
  }
  if (const char* key = options.key_env.empty() ? nullptr : std::getenv(options.key_env.c_str());
      key != nullptr && *key != '\0')
    take(key, cat("environment variable ", options.key_env));
  if (keys.empty() && !options.insecure && !is_loopback(options.host)) {
    throw UsageError(cat("serve.host = ", options.host,
                         ": others can reach this address and there is no access key; set "
                         "serve.key_file or the environment variable ",
                         options.key_env, ", or serve.insecure = true"));
  }
  return Access(keys);
}

bool Access::allows(std::string_view authorization) const {
  if (keys_.empty()) return true;
  std::string given;
  if (const auto token = after_scheme(authorization, "bearer")) {
    given = *token;
  } else if (const auto pair = after_scheme(authorization, "basic")) {
    const std::optional<std::string> decoded = decode_base64(*pair);
    if (!decoded) return false;
    const std::size_t colon = decoded->find(':');
    if (colon == std::string::npos) return false;
    given = decoded->substr(colon + 1);
  } else {
    return false;
  }
  const Sha256::Digest digest = sha256(given);
  bool found = false;
  for (const Sha256::Digest& key : keys_) {
    unsigned difference = 0;
    for (std::size_t i = 0; i < key.size(); ++i)
      difference |= static_cast<unsigned>(key[i] ^ digest[i]);
    found |= difference == 0;
  }
  return found;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost") return true;
  const std::string text(host);
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6) != 0;
}

}  // namespace plumb::service
