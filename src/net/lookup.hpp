#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace plumb {

/// What a host's name stands for.
struct HostAddresses {
  std::vector<std::string> addresses;  // IPv4 and IPv6, numeric, in the system's order
  std::string error;                   // why there are none
};
using HostLookup = std::function<HostAddresses(const std::string& host)>;

/// Asks the system, which may take as long as it likes.
HostAddresses system_lookup(const std::string& host);

/// The same within a time. The lookup runs on a thread of its own, which is left to itself when the
/// time is up: the system knows no way to end it. @return nothing if it took longer
std::optional<HostAddresses> lookup_within(const HostLookup& lookup, const std::string& host,
                                           double seconds);

}  // namespace plumb
