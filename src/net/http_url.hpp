#pragma once
#include <string>
#include <string_view>

namespace plumb {

/// The parts of http://host[:port][/path].
struct HttpUrl {
  std::string host;  // without the brackets of an IPv6 address
  std::string port = "80";
  std::string target;  // path and query; empty if the URL names none

  /// host:port as it stands in a URL and in the Host header.
  std::string authority() const;
};

/// Throws UsageError that begins with `where` for anything else: https (there is no TLS), a user
/// or a key inside of the URL, no host, a bad port, spaces or control characters.
HttpUrl parse_http_url(std::string_view url, const std::string& where);

}  // namespace plumb
