#include "net/http_url.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace plumb {
namespace {

constexpr std::string_view kScheme = "http://";

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = 10 * value + (c - '0');
  }
  return value >= 1 && value <= 65535;
}

}  // namespace

std::string HttpUrl::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + (port == "80" ? "" : ":" + port);
}

HttpUrl parse_http_url(std::string_view url, const std::string& where) {
  const auto refuse = [&](const std::string& why) -> UsageError {
    return UsageError(cat(where, ": ", why, "; expected http://host:port/path"));
  };
  if (std::ranges::any_of(url, [](char c) { return c <= ' ' || c == '\x7f'; }))
    throw refuse("a space or a control character in the URL");
  if (url.starts_with("https://"))
    throw refuse(
        "https is not supported: let a proxy on this machine speak TLS, and name its address");
  if (!url.starts_with(kScheme)) throw refuse("the URL does not begin with http://");
  std::string_view rest = url.substr(kScheme.size());
  HttpUrl out;
  const std::size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view place = rest.substr(0, slash);
  rest.remove_prefix(slash);
  rest = rest.substr(0, rest.find('#'));
  if (rest.starts_with('?')) out.target = "/";
  out.target += rest;
  if (place.find('@') != std::string_view::npos)
    throw refuse("the URL holds a user or a key, which would be stored with every score");
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == std::string_view::npos) throw refuse("a bracket is not closed");
    out.host = place.substr(1, end - 1);
    place.remove_prefix(end + 1);
    if (!place.empty() && !place.starts_with(':')) throw refuse("text after the address");
  } else {
    const std::size_t colon = std::min(place.find(':'), place.size());
    out.host = place.substr(0, colon);
    place.remove_prefix(colon);
  }
  if (out.host.empty()) throw refuse("the URL names no host");
  if (!place.empty()) {
    if (!is_port(place.substr(1))) throw refuse(cat("the port is '", place.substr(1), "'"));
    out.port = place.substr(1);
  }
  return out;
}

}  // namespace plumb
