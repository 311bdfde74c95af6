#include "net/http_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>
#include <utility>

namespace plumb {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using beast::error_code;
using net::ip::tcp;
using Request = http::request<http::string_body>;

}  // namespace

struct HttpClient::Impl {
  Impl(HttpUrl url_, Options options_) : url(std::move(url_)), options(options_) {}

  /// Runs one asynchronous operation to its end: only those know the stream's deadline.
  template <class Start>
  error_code finish(Start start) {
    error_code result;
    start([&result](error_code ec, auto&&...) { result = ec; });
    io.restart();
    io.run();
    return result;
  }

  [[noreturn]] void fail(const char* what, error_code ec) {
    fail(what, ec == beast::error::timeout        ? no_answer()
               : ec == http::error::end_of_stream ? "the connection was closed"
                                                  : ec.message());
  }
  [[noreturn]] void fail(const char* what, const std::string& reason) {
    stream.reset();
    throw NetworkError(cat("http://", url.authority(), ": ", what, ": ", reason));
  }
  std::string no_answer() const { return cat("no answer within ", options.timeout, " s"); }

  std::vector<tcp::endpoint> endpoints() {
    const double left =
        std::chrono::duration<double>(deadline - std::chrono::steady_clock::now()).count();
    const auto found = lookup_within(options.lookup, url.host, left);
    if (!found) fail("the host's address was not found", no_answer());
    if (!found->error.empty()) fail("the host is not known", found->error);
    std::vector<tcp::endpoint> all;
    for (const std::string& address : found->addresses)
      all.emplace_back(net::ip::make_address(address),
                       static_cast<std::uint16_t>(std::stoi(url.port)));
    return all;
  }

  void connect() {
    buffer.clear();
    const std::vector<tcp::endpoint> found = endpoints();
    stream.emplace(io);
    stream->expires_at(deadline);
    error_code ec = finish([&](auto done) { stream->async_connect(found, std::move(done)); });
    if (ec) fail("no connection", ec);
    stream->socket().set_option(tcp::no_delay(true), ec);
  }

  /// @return the reply, or nothing if the connection ended before its first byte
  std::optional<HttpReply> exchange(const Request& request) {
    stream->expires_at(deadline);
    error_code ec =
        finish([&](auto done) { http::async_write(*stream, request, std::move(done)); });
    const bool is_cut = ec == net::error::broken_pipe || ec == net::error::connection_reset;
    if (ec && !is_cut) fail("the request was not sent", ec);
    // A server that refuses early may have answered all the same.
    http::response_parser<http::string_body> parser;
    parser.body_limit(options.max_reply_bytes);
    // The head by itself: Boost 1.74 forgets the limit when head and body arrive in one piece.
    ec = finish(
        [&](auto done) { http::async_read_header(*stream, buffer, parser, std::move(done)); });
    if (ec && !parser.got_some() && ec != beast::error::timeout) return std::nullopt;
    if (!ec)
      ec = finish([&](auto done) { http::async_read(*stream, buffer, parser, std::move(done)); });
    if (ec) fail("the reply did not come whole", ec);
    HttpReply reply;
    reply.status = parser.get().result_int();
    reply.retry_after = std::string(parser.get()[http::field::retry_after]);
    if (is_cut || !parser.keep_alive()) stream.reset();
    reply.body = std::move(parser.get().body());
    return reply;
  }

  HttpReply send(const Request& request) {
    deadline = std::chrono::steady_clock::now() +
               std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                   std::chrono::duration<double>(options.timeout));
    if (stream) {
      if (auto reply = exchange(request)) return std::move(*reply);
    }
    connect();
    if (auto reply = exchange(request)) return std::move(*reply);
    fail("no reply", http::error::end_of_stream);
  }

  Request make(http::verb verb, const std::string& target, const Headers& headers) const {
    Request request(verb, target, 11);
    request.set(http::field::host, url.authority());
    request.set(http::field::user_agent, "plumb");
    for (const auto& [name, value] : headers) request.set(name, value);
    return request;
  }

  HttpUrl url;
  Options options;
  net::io_context io{1};
  std::optional<beast::tcp_stream> stream;
  beast::flat_buffer buffer;
  std::chrono::steady_clock::time_point deadline;
};

HttpClient::HttpClient(HttpUrl url, Options options)
    : impl_(std::make_unique<Impl>(std::move(url), options)) {}
HttpClient::~HttpClient() = default;

HttpReply HttpClient::get(const std::string& target, const Headers& headers) {
  return impl_->send(impl_->make(http::verb::get, target, headers));
}

HttpReply HttpClient::post(const std::string& target, const std::string& body,
                           const Headers& headers) {
  Request request = impl_->make(http::verb::post, target, headers);
  request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  return impl_->send(request);
}

}  // namespace plumb
