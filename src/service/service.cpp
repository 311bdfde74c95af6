#include "service/service.hpp"

#include <algorithm>
#include <ctime>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "service/dialects/kserve.hpp"
#include "service/json_guard.hpp"
#include "service/routes.hpp"
#include "service/token_count.hpp"

namespace plumb::service {
namespace {

constexpr std::size_t kSmallBody = 64 << 10;  // read on the I/O thread
constexpr std::size_t kMiB = 1 << 20;

std::string reason_label(const std::string& reason) {
  return "reason=\"" + label_value(reason) + "\"";
}

bool is_json(std::string_view media_type) {
  const std::string_view type = media_type.substr(0, media_type.find(';'));
  return type.empty() || type == "application/json" || type.ends_with("+json");
}

Reply with_header(Reply reply, const char* name, const std::string& value) {
  reply.headers.emplace_back(name, value);
  return reply;
}

}  // namespace

Service::Service(const ServeOptions& options, Access access, Loader loader,
                 std::unique_ptr<ScoreSink> sink, const std::string& version)
    : options_(options),
      access_(std::move(access)),
      loader_(std::move(loader)),
      version_(version),
      started_at_(std::time(nullptr)),
      sink_(std::move(sink)),
      log_(options.request_log),
      cache_(static_cast<std::size_t>(options.cache_mb) * kMiB),
      queue_({options.max_queue_tokens, options.max_queue_requests}),
      compute_({options.max_batch_tokens, options.max_wait_us, options.batch_invariant}, queue_,
               cache_, metrics_, sink_.get()) {
  metrics_.set("plumb_build_info", 1, "version=\"" + label_value(version) + "\"");
  metrics_.set("plumb_ready", 0);
}

std::shared_ptr<const ServedModels> Service::models() const {
  const std::scoped_lock lock(mutex_);
  return models_;
}

void Service::start(OnFailure on_failure) {
  loads_.run([this, on_failure = std::move(on_failure)] {
    try {
      std::shared_ptr<const ServedModels> loaded = loader_();
      if (sink_) sink_->recall(*loaded, cache_);
      {
        const std::scoped_lock lock(mutex_);
        models_ = std::move(loaded);
      }
      metrics_.set("plumb_ready", 1);
      log::info("ready");
    } catch (...) {
      on_failure(std::current_exception());
    }
  });
}

void Service::reload(const std::shared_ptr<Exchange>& exchange) {
  if (!models() || loading_.exchange(true)) {
    const Reply busy = with_header(
        error_reply(ErrorStyle::kOpenAi, 503, "modules are being loaded"), "Retry-After", "1");
    if (exchange) exchange->reply(busy);
    return;
  }
  loads_.run([this, exchange] {
    Reply reply = json_reply({{"reloaded", true}});
    try {
      std::shared_ptr<const ServedModels> loaded = loader_();
      if (sink_) sink_->recall(*loaded, cache_);
      const std::scoped_lock lock(mutex_);
      models_ = std::move(loaded);
      metrics_.add("plumb_reloads_total", "result=\"ok\"");
      log::info("modules reloaded");
    } catch (const std::exception& error) {
      metrics_.add("plumb_reloads_total", "result=\"error\"");
      log::error(cat("reload failed, the old modules stay: ", error.what()));
      reply = error_reply(ErrorStyle::kOpenAi, 500,
                          cat("reload failed, the old modules stay: ", error.what()));
    }
    loading_ = false;
    if (exchange) exchange->reply(std::move(reply));
  });
}

void Service::stop() {
  prepare_.stop();
  loads_.stop();
  compute_.stop();
}

const Route* Service::find_route(const std::string& path) const {
  static const Route scalar = scalar_route(), kserve = kserve_route();
  if (std::ranges::find(options_.route_scalar, path) != options_.route_scalar.end()) return &scalar;
  if (is_kserve_infer(path)) return &kserve;
  const auto& routes = post_routes();
  const auto found = std::ranges::find(routes, path, &Route::path);
  return found == routes.end() ? nullptr : &*found;
}

Reply Service::overloaded(ErrorStyle style) {
  metrics_.add("plumb_rejected_total", reason_label("overload"));
  return with_header(error_reply(style, static_cast<int>(options_.overload_status),
                                 "the queue is full; try again later"),
                     "Retry-After", "1");
}

std::optional<Reply> Service::refuse_early(Exchange& exchange) {
  const HttpRequest& request = exchange.request;
  const bool is_get_route = is_information_route(request.path);
  const Route* route = find_route(request.path);
  const bool is_post_route = route != nullptr || request.path == kReloadRoute;
  exchange.route = is_get_route || is_post_route ? metric_route(request.path) : "other";
  const ErrorStyle style = route != nullptr ? route->style(nlohmann::json::object())
                           : request.path.starts_with("/v2") ? ErrorStyle::kKserve
                                                             : ErrorStyle::kOpenAi;
  const auto refuse = [&](int status, const std::string& reason, const std::string& message) {
    metrics_.add("plumb_rejected_total", reason_label(reason));
    return error_reply(style, status, message);
  };
  const bool is_public =
      is_public_route(request.path) || (request.path == "/metrics" && options_.public_metrics);
  if (!is_public && !access_.allows(request.header("authorization"))) {
    return with_header(refuse(401, "unauthorized", "a valid access key is needed"),
                       "WWW-Authenticate", "Bearer, Basic realm=\"plumb\"");
  }
  if (!is_get_route && !is_post_route)
    return refuse(404, "no_route", cat("there is no route ", request.path));
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  const bool takes_put = route != nullptr && route->takes_put;
  const bool is_write = request.method == "POST" || (takes_put && request.method == "PUT");
  if (is_get_route ? !is_read : !is_write) {
    return with_header(refuse(405, "method", cat(request.path, " does not take ", request.method)),
                       "Allow",
                       is_get_route ? "GET, HEAD"
                       : takes_put  ? "POST, PUT"
                                    : "POST");
  }
  if (is_get_route || request.path == kReloadRoute) return std::nullopt;
  const bool is_binary =
      is_kserve_infer(request.path) && !request.header("inference-header-content-length").empty();
  if (!is_binary && !is_json(request.header("content-type"))) {
    return refuse(415, "media_type",
                  cat("Content-Type is ", request.header("content-type").substr(0, 100),
                      ", expected application/json"));
  }
  if (const std::string_view coding = request.header("content-encoding");
      !coding.empty() && coding != "identity") {
    return with_header(refuse(415, "media_type",
                              cat("Content-Encoding is ", coding.substr(0, 100),
                                  ", expected a body that is not compressed")),
                       "Accept-Encoding", "identity");
  }
  if (!models()) {
    return with_header(refuse(503, "loading", "models are being loaded"), "Retry-After", "1");
  }
  if (queue_.is_full()) return overloaded(style);
  return std::nullopt;
}

void Service::handle(const std::shared_ptr<Exchange>& exchange) {
  if (exchange->request.path == kReloadRoute) return reload(exchange);
  if (is_information_route(exchange->request.path))
    return exchange->reply(get(exchange->request.path));
  if (exchange->request.body.size() <= kSmallBody) return process(exchange);
  prepare_.run([this, exchange] {
    if (!exchange->abandoned) process(exchange);
  });
}

void Service::process(const std::shared_ptr<Exchange>& exchange) {
  const HttpRequest& request = exchange->request;
  const Route* route = find_route(request.path);
  ErrorStyle style = route->style(nlohmann::json::object());
  try {
    const std::string_view text = request.body;
    const nlohmann::json body = parse_body(
        is_kserve_infer(request.path) ? text.substr(0, kserve_json_size(request)) : text);
    style = route->style(body);
    const std::shared_ptr<const ServedModels> loaded = models();
    const Call call{request, body, *loaded, options_, std::time(nullptr)};
    if (route->plan != nullptr) {
      score(exchange, style, loaded, route->plan(call));
    } else if (route->complete == nullptr) {
      exchange->reply(route->answer(call));
    } else if (!loaded->policy) {
      throw Problem(405, "no policy is loaded: this service only scores; set serve.policy");
    } else {
      complete(exchange, style, loaded, route->complete(call));
    }
  } catch (const Problem& problem) {
    metrics_.add("plumb_rejected_total", reason_label("invalid"));
    exchange->reply(error_reply(style, problem));
  } catch (const std::bad_alloc&) {
    exchange->reply(error_reply(style, 503, "out of memory"));
  } catch (const std::exception& error) {
    log::error(cat("request ", request.id, ": ", error.what()));
    exchange->reply(error_reply(style, 500, "the service failed; its log names the request's id"));
  }
}

void Service::complete(const std::shared_ptr<Exchange>& exchange, ErrorStyle style,
                       const std::shared_ptr<const ServedModels>& loaded, TextPlan plan) {
  if (!queue_.reserve(plan.tokens)) return exchange->reply(overloaded(style));
  auto job = std::make_shared<TextJob>();
  job->exchange = exchange;
  job->tokens = plan.tokens;
  job->model = loaded->policy;
  job->start = [start = std::move(plan.start), model = loaded->policy, exchange] {
    return start(*model, *exchange);
  };
  job->fail = [style, exchange, streams = plan.streams](std::exception_ptr error) {
    Reply reply;
    try {
      std::rethrow_exception(std::move(error));
    } catch (const Problem& problem) {
      reply = error_reply(style, problem);
    } catch (const DataError& problem) {
      reply = error_reply(style, 400, problem.what());
    } catch (const std::exception& problem) {
      log::error(cat("request ", exchange->request.id, ": ", problem.what()));
      reply = error_reply(style, 500, cat("the policy failed: ", problem.what()));
    }
    if (!streams) return exchange->reply(std::move(reply));
    exchange->send_event("data: " + reply.body + "\n\ndata: [DONE]\n\n");
    exchange->end_stream();
  };
  queue_.push(job);
}

void Service::score(const std::shared_ptr<Exchange>& exchange, ErrorStyle style,
                    const std::shared_ptr<const ServedModels>& loaded, ScorePlan plan) {
  auto job = std::make_shared<ScoreJob>();
  job->models = loaded;
  job->exchange = exchange;
  if (static_cast<std::int64_t>(plan.items.size()) > options_.max_items) {
    throw Problem(422, cat(plan.items.size(), " texts in one request, at most ", options_.max_items,
                           " are taken"));
  }
  if (plan.modules.empty() && plan.needs_module) {
    if (job->models->modules.empty())
      throw Problem(404,
                    "no reward module is loaded: the service was started with serve.modules empty");
    plan.modules = {job->models->modules.front().name};
  }
  for (const std::string& name : plan.modules) job->modules.push_back(job->models->find(name));
  job->own_modules = std::move(plan.more);
  for (const auto& module : job->own_modules) job->modules.push_back(module.get());
  job->items = std::move(plan.items);
  job->render = [render = std::move(plan.render), style](const ScoreJob& done) {
    try {
      return render(done);
    } catch (const Problem& problem) {
      return error_reply(style, problem);
    } catch (const std::exception& error) {
      log::error(cat("request ", done.exchange->request.id, ": ", error.what()));
      return error_reply(style, 500, "the reply could not be made; the log names the request's id");
    }
  };
  std::int64_t tokens = 0;
  for (ScoreItem& item : job->items) {
    estimate_cost(item);
    tokens += item.cost * static_cast<std::int64_t>(job->modules.size());
  }
  if (!queue_.reserve(tokens)) return exchange->reply(overloaded(style));
  std::int64_t answered = 0;
  try {
    answered = look_up(*job, plan);
  } catch (...) {
    queue_.release(tokens, 1);
    throw;
  }
  queue_.release(answered, job->remaining == 0 ? 1 : 0);
  if (job->remaining == 0) {
    exchange->reply(job->render(*job));
  } else {
    queue_.push(job);
  }
}

std::int64_t Service::look_up(ScoreJob& job, const ScorePlan& plan) {
  const bool cut = plan.truncate.value_or(options_.truncation == "prompt");
  std::int64_t max_length = options_.max_length;
  if (plan.max_length && (max_length == 0 || *plan.max_length < max_length))
    max_length = *plan.max_length;
  const std::size_t modules = job.modules.size();
  job.scores.resize(job.items.size() * modules);
  if (cache_.is_on()) job.keys.resize(job.scores.size());
  std::int64_t answered = 0;
  RequestCosts& costs = job.exchange->costs;
  costs.items = static_cast<std::int64_t>(job.items.size());
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    ScoreItem& item = job.items[i];
    count_tokens(item, job.models->tokenizer.get(), max_length, cut);
    costs.truncated += item.truncated ? 1 : 0;
    costs.tokens += item.prompt_tokens + item.response_tokens;
    for (std::size_t m = 0; m < modules; ++m) {
      std::shared_ptr<const Score> known;
      if (!item.error.empty()) {
        known = std::make_shared<const Score>();
      } else if (cache_.is_on()) {
        const ScoreCache::Key key = cache_key(job.modules[m]->fingerprint, item.sample);
        job.keys[i * modules + m] = key;
        known = cache_.find(key);
        if (known) metrics_.add("plumb_cache_hits_total");
      }
      if (known) {
        job.at(i, m) = {std::move(known), item.error_status};
        answered += item.cost;
      } else {
        ++job.remaining;
      }
    }
  }
  return answered;
}

Reply Service::metrics_text() {
  metrics_.set("plumb_queue_depth", static_cast<double>(queue_.requests()));
  metrics_.set("plumb_queue_tokens", static_cast<double>(queue_.tokens()));
  metrics_.set("plumb_cache_bytes", static_cast<double>(cache_.bytes()));
  Reply reply;
  reply.body = metrics_.text();
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return reply;
}

Reply Service::get(const std::string& path) {
  if (path == "/metrics") return metrics_text();
  const std::shared_ptr<const ServedModels> loaded = models();
  if (path == "/live") return {};
  if (path == "/v1/models" || path == "/info" || path == "/tokenizer_info") {
    if (!loaded)
      return with_header(error_reply(ErrorStyle::kOpenAi, 503, "models are being loaded"),
                         "Retry-After", "1");
    if (path == "/tokenizer_info") return tokenizer_info_reply(*loaded);
    return path == "/info" ? info_reply(*loaded, options_, version_)
                           : models_reply(*loaded, options_, started_at_);
  }
  if (std::optional<Reply> reply = kserve_information(path, loaded.get(), options_, version_))
    return std::move(*reply);
  if (loaded && !draining_) return {};
  Reply reply;
  reply.status = 503;
  return with_header(std::move(reply), "Retry-After", "1");
}

void Service::finished(const Exchange& exchange, RequestLog::Line line) {
  line.costs = exchange.costs;
  metrics_.add("plumb_requests_total",
               cat("route=\"", label_value(line.route), "\",code=\"", line.status, "\""));
  metrics_.observe("plumb_request_seconds", static_cast<double>(line.total_us) * 1e-6,
                   "route=\"" + label_value(line.route) + "\"");
  log_.write(line);
}

}  // namespace plumb::service
