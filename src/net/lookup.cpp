#include "net/lookup.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>

namespace plumb {

HostAddresses system_lookup(const std::string& host) {
  HostAddresses out;
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); code != 0) {
    out.error = ::gai_strerror(code);
    return out;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(list, ::freeaddrinfo);
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST] = {};
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST) == 0)
      out.addresses.emplace_back(text);
  }
  if (out.addresses.empty()) out.error = "no address";
  return out;
}

std::optional<HostAddresses> lookup_within(const HostLookup& lookup, const std::string& host,
                                           double seconds) {
  auto promise = std::make_shared<std::promise<HostAddresses>>();
  std::future<HostAddresses> found = promise->get_future();
  std::thread([promise, lookup, host] {
    try {
      promise->set_value(lookup(host));
    } catch (...) {
      promise->set_exception(std::current_exception());
    }
  }).detach();
  if (found.wait_for(std::chrono::duration<double>(seconds)) != std::future_status::ready)
    return std::nullopt;
  return found.get();
}

}  // namespace plumb
