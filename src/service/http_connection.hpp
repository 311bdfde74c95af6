#pragma once
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "service/http_exchange.hpp"
#include "service/service.hpp"

/// Beast and coroutines are slow to compile: only http_server.cpp includes this.
namespace plumb::service::http_detail {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using beast::error_code;
using net::use_awaitable;
using net::ip::tcp;
using Clock = std::chrono::steady_clock;

inline constexpr std::size_t kMiB = 1 << 20, kKiB = 1 << 10;
inline constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
inline Clock::duration seconds(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

/// What the connections of one server share; all of it belongs to the I/O thread.
struct Shared {
  Service& service;
  net::io_context& io;
  std::set<class Connection*> connections;
  std::size_t body_bytes = 0;  // of all requests in memory
  bool closing = false;        // no new request is read
  std::function<void()> on_last_closed;
};

/// One body's part of the memory that all bodies share.
struct HeldBody {
  Shared& shared;
  std::size_t bytes = 0;
  explicit HeldBody(Shared& shared_) : shared(shared_) {}
  ~HeldBody() { shared.body_bytes -= bytes; }
  HeldBody(const HeldBody&) = delete;
  HeldBody& operator=(const HeldBody&) = delete;
  void grow(std::size_t size) {
    shared.body_bytes += size - bytes;
    bytes = size;
  }
};

inline std::string lower_case(beast::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

/// One client connection: reads a request, waits for its reply, writes it, and again.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket&& socket, Shared& shared)
      : shared_(shared), options_(shared.service.options()), stream_(std::move(socket)) {
    error_code ignored;
    const auto peer = stream_.socket().remote_endpoint(ignored);
    if (!ignored) client_ = peer.address().to_string();
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    shared_.connections.insert(this);
    count();
  }
  ~Connection() {
    shared_.connections.erase(this);
    count();
    if (shared_.closing && shared_.connections.empty()) shared_.on_last_closed();
  }

  net::awaitable<void> run() {
    for (;;) {
      if (!co_await wait_for_request()) break;
      if (!co_await serve_one() || shared_.closing) break;
    }
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }
  /// Ends the connection if it is between two requests.
  void close_if_idle() {
    if (idle_) stream_.close();
  }

 private:
  using Parser = http::request_parser<http::string_body>;

  void count() {
    shared_.service.metrics().set("plumb_connections",
                                  static_cast<double>(shared_.connections.size()));
  }

  net::awaitable<bool> wait_for_request() {
    if (buffer_.size() > 0) co_return true;
    if (shared_.closing) co_return false;
    error_code ec;
    idle_ = true;
    stream_.expires_after(seconds(options_.idle_timeout));
    const std::size_t size =
        co_await stream_.async_read_some(buffer_.prepare(4 * kKiB), redirect(ec));
    idle_ = false;
    buffer_.commit(size);
    co_return !ec && size > 0;
  }

  /// @return whether the connection may carry another request
  net::awaitable<bool> serve_one() {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options_.max_header_kb * 1024));
    parser.body_limit(static_cast<std::uint64_t>(options_.max_body_mb) * kMiB);
    const auto exchange = std::make_shared<HttpExchange>(shared_.io);
    error_code ec;
    stream_.expires_after(seconds(options_.header_timeout));
    co_await http::async_read_header(stream_, buffer_, parser, redirect(ec));
    begun_ = Clock::now();
    if (ec == http::error::end_of_stream || ec == http::error::partial_message ||
        (ec && !is_protocol_error(ec)))
      co_return false;
    read_head(parser, *exchange);
    std::optional<Reply> refusal = ec ? refusal_of(ec) : check_head(parser);
    const bool bad_framing = refusal.has_value();
    if (!refusal) refusal = shared_.service.refuse_early(*exchange);
    if (exchange->route.empty()) exchange->route = "other";
    if (!refusal && parser.get()[http::field::expect] != "")
      co_await net::async_write(stream_, net::buffer(kContinue, sizeof kContinue - 1),
                                redirect(ec));
    HeldBody body{shared_};
    if (!bad_framing && (!refusal || is_small(parser))) {
      // Also after a refusal, if there is little to read: the connection then stays usable.
      std::optional<Reply> problem = co_await read_body(parser, body, ec);
      if (ec && !problem) co_return false;
      if (!refusal) refusal = std::move(problem);
    }
    if (refusal) {
      const bool unread = bad_framing || !parser.is_done();
      const bool keep = !unread && parser.get().keep_alive();
      const bool open = co_await write_reply(*exchange, parser, *refusal, keep);
      if (unread) co_await discard_rest();
      co_return open;
    }
    exchange->request.body = std::move(parser.get().body());
    bytes_in_ = static_cast<std::int64_t>(exchange->request.body.size());
    exchange->wake.expires_at(deadline(exchange->request));
    shared_.service.handle(exchange);
    co_return co_await answer(exchange, parser, parser.get().keep_alive());
  }

  net::redirect_error_t<net::use_awaitable_t<>> redirect(error_code& ec) const {
    return net::redirect_error(use_awaitable, ec);
  }

  /// A body that is read although its request is refused.
  static bool is_small(const Parser& parser) {
    const auto length = parser.content_length();
    return length && *length <= 64 * kKiB && parser.get().count(http::field::expect) == 0;
  }

  static bool is_protocol_error(const error_code& ec) {
    return ec.category() == http::make_error_code(http::error::bad_method).category();
  }

  static Reply refusal_of(const error_code& ec) {
    if (ec == http::error::header_limit)
      return error_reply(ErrorStyle::kOpenAi, 431, "the request's head is too large");
    if (ec == http::error::body_limit)
      return error_reply(ErrorStyle::kOpenAi, 413, "the request's body is too large");
    return error_reply(ErrorStyle::kOpenAi, 400, cat("not a valid HTTP request: ", ec.message()));
  }

  /// Framing that a proxy in front could read in another way is refused.
  std::optional<Reply> check_head(const Parser& parser) const {
    const auto& head = parser.get();
    const auto encodings = head.count(http::field::transfer_encoding);
    if (encodings > 0 &&
        (head.version() != 11 || encodings > 1 || head.count(http::field::content_length) > 0 ||
         lower_case(head[http::field::transfer_encoding]) != "chunked")) {
      return error_reply(ErrorStyle::kOpenAi, 400,
                         "Transfer-Encoding must be chunked alone, in HTTP/1.1, without "
                         "Content-Length");
    }
    if (head.count(http::field::content_length) > 1)
      return error_reply(ErrorStyle::kOpenAi, 400, "Content-Length stands there twice");
    const beast::string_view expect = head[http::field::expect];
    if (!expect.empty() && lower_case(expect) != "100-continue")
      return error_reply(ErrorStyle::kOpenAi, 417, "Expect: only 100-continue is known");
    return std::nullopt;
  }

  static void read_head(const Parser& parser, Exchange& exchange) {
    const auto& head = parser.get();
    HttpRequest& request = exchange.request;
    request.method = std::string(head.method_string());
    const beast::string_view target = head.target();
    request.path = std::string(target.substr(0, target.find('?')));
    for (const auto& field : head)
      request.headers.emplace_back(lower_case(field.name_string()), std::string(field.value()));
    request.id = request_id(request.header("x-request-id"));
  }

  /// Reads the body within the memory that all bodies share.
  net::awaitable<std::optional<Reply>> read_body(Parser& parser, HeldBody& held, error_code& ec) {
    stream_.expires_after(seconds(options_.body_timeout));
    const auto limit = static_cast<std::size_t>(options_.max_bodies_mb) * kMiB;
    while (!parser.is_done()) {
      co_await http::async_read_some(stream_, buffer_, parser, redirect(ec));
      if (ec && is_protocol_error(ec) && ec != http::error::partial_message)
        co_return refusal_of(ec);
      if (ec) co_return std::nullopt;
      held.grow(parser.get().body().size());
      if (shared_.body_bytes > limit) {
        Reply reply = error_reply(ErrorStyle::kOpenAi, 503, "too many request bodies at once");
        reply.headers.emplace_back("Retry-After", "1");
        shared_.service.metrics().add("plumb_rejected_total", "reason=\"memory\"");
        co_return reply;
      }
    }
    co_return std::nullopt;
  }

  Clock::time_point deadline(const HttpRequest& request) const {
    std::int64_t limit = options_.timeout_ms;
    const std::string_view given = request.header("x-request-timeout-ms");
    std::int64_t wanted = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), wanted);
    if (error == std::errc{} && end == given.data() + given.size() && wanted > 0)
      limit = std::min(limit, wanted);
    return begun_ + std::chrono::milliseconds(limit);
  }

  /// Waits for the reply, the deadline or the client's leaving, and writes what there is.
  net::awaitable<bool> answer(const std::shared_ptr<HttpExchange>& exchange, const Parser& parser,
                              bool keep) {
    if (!exchange->answer && !exchange->streams) watch_client(exchange, parser.get().version());
    while (!exchange->answer && !exchange->streams && !exchange->abandoned) {
      error_code ec;
      const auto until = exchange->wake.expiry();
      co_await exchange->wake.async_wait(redirect(ec));
      if (!ec && Clock::now() >= until && !exchange->answer && !exchange->streams) {
        exchange->abandoned = true;
        exchange->answer = error_reply(ErrorStyle::kOpenAi, 504, "no reply before the deadline");
        shared_.service.metrics().add("plumb_rejected_total", "reason=\"deadline\"");
      }
    }
    error_code ignored;
    stream_.socket().cancel(ignored);
    if (exchange->streams) co_return co_await write_stream(exchange, parser, keep);
    if (!exchange->answer) {
      log_line(*exchange, 499, 0);
      co_return false;
    }
    co_return co_await write_reply(*exchange, parser, *exchange->answer, keep);
  }

  /// Notices a client that goes away while its request waits. A client that only closed its sending
  /// side still gets its reply: the interim response tells the two apart, since a closed socket
  /// answers it with a reset.
  void watch_client(const std::shared_ptr<HttpExchange>& exchange, unsigned version) {
    stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this(), exchange,
                                                         version](const error_code& ec) {
      if (ec || exchange->answer || exchange->streams) return;
      const int descriptor = self->stream_.socket().native_handle();
      char byte = 0;
      const auto got = ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      const bool reset = got < 0 && errno != EAGAIN && errno != EWOULDBLOCK;
      if (got == 0 && version == 11)
        ::send(descriptor, kContinue, sizeof kContinue - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (reset) {
        abandon(*exchange);
      } else {
        self->watch_errors(exchange);
      }
    });
  }
  void watch_errors(const std::shared_ptr<HttpExchange>& exchange) {
    stream_.socket().async_wait(tcp::socket::wait_error,
                                [self = shared_from_this(), exchange](const error_code& ec) {
                                  if (!ec && !exchange->answer && !exchange->streams)
                                    abandon(*exchange);
                                });
  }
  static void abandon(HttpExchange& exchange) {
    exchange.abandoned = true;
    exchange.wake.cancel();
  }

  template <class Body>
  void fill_head(http::response<Body>& response, const HttpExchange& exchange,
                 const std::string& content_type, bool keep) {
    response.set(http::field::server, "plumb");
    response.set("X-Request-Id", exchange.request.id);
    if (!content_type.empty()) response.set(http::field::content_type, content_type);
    response.keep_alive(keep);
  }

  net::awaitable<bool> write_reply(const HttpExchange& exchange, const Parser& parser,
                                   const Reply& reply, bool keep) {
    keep = keep && !shared_.closing;
    http::response<http::string_body> response(static_cast<http::status>(reply.status),
                                               parser.get().version() == 10 ? 10 : 11);
    fill_head(response, exchange, reply.body.empty() ? "" : reply.content_type, keep);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    add_costs(response, exchange.costs);
    response.content_length(reply.body.size());
    if (parser.get().method() != http::verb::head) response.body() = reply.body;
    error_code ec;
    stream_.expires_after(seconds(options_.write_timeout));
    co_await http::async_write(stream_, response, redirect(ec));
    log_line(exchange, reply.status, static_cast<std::int64_t>(reply.body.size()));
    co_return keep && !ec;
  }

  template <class Response>
  void add_costs(Response& response, const RequestCosts& costs) {
    if (costs.items == 0) return;
    const auto ms = [](std::int64_t us) { return std::to_string((us + 500) / 1000); };
    response.set("x-compute-tokens", std::to_string(costs.tokens));
    if (costs.truncated > 0) response.set("x-truncated-items", std::to_string(costs.truncated));
    response.set("x-total-time", ms(total_us()));
    response.set("x-queue-time", ms(costs.queue_us));
    response.set("x-inference-time", ms(costs.inference_us));
  }

  net::awaitable<bool> write_stream(const std::shared_ptr<HttpExchange>& exchange,
                                    const Parser& parser, bool keep) {
    const bool chunked = parser.get().version() == 11;
    keep = keep && chunked && !shared_.closing;
    http::response<http::empty_body> head(http::status::ok, chunked ? 11 : 10);
    fill_head(head, *exchange, "text/event-stream", keep);
    head.set(http::field::cache_control, "no-cache");
    head.chunked(chunked);
    http::response_serializer<http::empty_body> serializer(head);
    error_code ec;
    std::int64_t bytes = 0;
    stream_.expires_after(seconds(options_.write_timeout));
    co_await http::async_write_header(stream_, serializer, redirect(ec));
    while (!ec) {
      if (exchange->events.empty()) {
        if (exchange->stream_ended) break;
        error_code cancelled;
        co_await exchange->wake.async_wait(redirect(cancelled));
        if (!cancelled && exchange->events.empty()) break;
        continue;
      }
      const std::string event = std::move(exchange->events.front());
      exchange->events.pop_front();
      bytes += static_cast<std::int64_t>(event.size());
      stream_.expires_after(seconds(options_.write_timeout));
      if (chunked) {
        co_await net::async_write(stream_, http::make_chunk(net::buffer(event)), redirect(ec));
      } else {
        co_await net::async_write(stream_, net::buffer(event), redirect(ec));
      }
    }
    const bool complete = !ec && exchange->stream_ended;
    exchange->abandoned = true;
    if (complete && chunked)
      co_await net::async_write(stream_, http::make_chunk_last(), redirect(ec));
    log_line(*exchange, complete ? 200 : 499, bytes);
    co_return keep&& complete && !ec;
  }

  /// Closes politely: an unread body would turn the close into a reset, which eats the reply.
  net::awaitable<void> discard_rest() {
    error_code ec;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ec);
    stream_.expires_after(std::chrono::seconds(1));
    char scratch[8 * kKiB];
    while (!ec) co_await stream_.async_read_some(net::buffer(scratch), redirect(ec));
  }

  std::int64_t total_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun_).count();
  }

  void log_line(const Exchange& exchange, int status, std::int64_t bytes_out) {
    RequestLog::Line line;
    line.id = exchange.request.id;
    line.method = exchange.request.method;
    line.route = exchange.route;
    line.client = client_;
    line.status = status;
    line.bytes_in = bytes_in_;
    line.bytes_out = bytes_out;
    line.total_us = total_us();
    shared_.service.finished(exchange, std::move(line));
    bytes_in_ = 0;
  }

  Shared& shared_;
  const ServeOptions& options_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::string client_;
  Clock::time_point begun_ = Clock::now();  // head of the request in hand
  std::int64_t bytes_in_ = 0;
  bool idle_ = false;
};

}  // namespace plumb::service::http_detail
