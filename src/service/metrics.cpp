#include "service/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <sstream>

#include "core/error.hpp"

namespace plumb::service {
namespace {

/// 35 bounds from 10 us, each half as much again: fine where scoring lives, wide enough for
/// minutes.
std::vector<double> seconds() {
  std::vector<double> bounds;
  for (int k = 0; k < 35; ++k) bounds.push_back(1e-5 * std::pow(1.5, k));
  return bounds;
}

std::vector<double> powers_of_two(int last) {
  std::vector<double> bounds;
  for (int k = 0; k <= last; ++k) bounds.push_back(std::pow(2.0, k));
  return bounds;
}

std::string number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15)
    return std::to_string(static_cast<std::int64_t>(value));
  std::ostringstream out;
  out << std::setprecision(std::numeric_limits<double>::max_digits10) << value;
  return out.str();
}

std::string braces(const std::string& labels, const std::string& more = "") {
  if (labels.empty() && more.empty()) return "";
  return "{" + labels + (labels.empty() || more.empty() ? "" : ",") + more + "}";
}

}  // namespace

Metrics::Metrics() {
  const std::vector<double> scores{-100, -50, -20, -10, -5, -2, -1, -0.5, 0,  0.1,
                                   0.2,  0.5, 1,   2,   5,  10, 20, 50,   100};
  families_ = {
      {"plumb_requests_total", "counter", "HTTP requests by route and status", {}, {}},
      {"plumb_request_seconds", "histogram", "from request head to reply", seconds(), {}},
      {"plumb_rejected_total", "counter", "requests that were refused, by reason", {}, {}},
      {"plumb_dropped_total",
       "counter",
       "texts and completions that nobody waited for any more",
       {},
       {}},
      {"plumb_connections", "gauge", "open connections", {}, {}},
      {"plumb_connections_total", "counter", "connections accepted", {}, {}},
      {"plumb_accept_errors_total", "counter", "accepts that failed, e.g. no descriptors", {}, {}},
      {"plumb_queue_depth", "gauge", "requests admitted and not yet answered", {}, {}},
      {"plumb_queue_tokens", "gauge", "tokens admitted and not yet scored", {}, {}},
      {"plumb_queue_seconds", "histogram", "from admission to the first batch", seconds(), {}},
      {"plumb_batch_size", "histogram", "texts of a batch", powers_of_two(12), {}},
      {"plumb_batch_tokens", "histogram", "tokens of a batch", powers_of_two(17), {}},
      {"plumb_inference_seconds", "histogram", "one batch in one module", seconds(), {}},
      {"plumb_scored_total", "counter", "texts scored by a module, without cached ones", {}, {}},
      {"plumb_score_errors_total", "counter", "texts that a module could not score", {}, {}},
      {"plumb_tokens_total", "counter", "tokens scored by a module", {}, {}},
      {"plumb_generated_tokens_total", "counter", "tokens sampled by the policy", {}, {}},
      {"plumb_cache_hits_total", "counter", "scores answered from the cache", {}, {}},
      {"plumb_cache_misses_total", "counter", "scores that had to be computed", {}, {}},
      {"plumb_cache_bytes", "gauge", "memory of the cache", {}, {}},
      {"plumb_store_errors_total", "counter", "scores that the database refused", {}, {}},
      {"plumb_score", "histogram", "values of a module", scores, {}},
      {"plumb_completions_running",
       "gauge",
       "completion requests that are sampled together",
       {},
       {}},
      {"plumb_compute_busy_seconds_total", "counter", "compute thread at work", {}, {}},
      {"plumb_compute_idle_seconds_total", "counter", "compute thread without work", {}, {}},
      {"plumb_reloads_total", "counter", "reloads of the modules, by result", {}, {}},
      {"plumb_ready", "gauge", "1 while scores are served", {}, {}},
      {"plumb_build_info", "gauge", "version of the program", {}, {}},
  };
}

Metrics::Family& Metrics::find(std::string_view name) {
  const auto it = std::ranges::find_if(families_, [&](const Family& f) { return f.name == name; });
  expects(it != families_.end(), "a metric of the table");
  return *it;
}

void Metrics::add(std::string_view name, const std::string& labels, double amount) {
  const std::scoped_lock lock(mutex_);
  find(name).series[labels].value += amount;
}

void Metrics::set(std::string_view name, double value, const std::string& labels) {
  const std::scoped_lock lock(mutex_);
  find(name).series[labels].value = value;
}

void Metrics::observe(std::string_view name, double value, const std::string& labels) {
  const std::scoped_lock lock(mutex_);
  Family& family = find(name);
  Series& series = family.series[labels];
  series.counts.resize(family.bounds.size() + 1);
  const auto bound = std::ranges::lower_bound(family.bounds, value);
  ++series.counts[static_cast<std::size_t>(bound - family.bounds.begin())];
  series.value += value;
}

double Metrics::value(std::string_view name, const std::string& labels) const {
  const std::scoped_lock lock(mutex_);
  for (const Family& family : families_) {
    if (family.name != name) continue;
    const auto found = family.series.find(labels);
    return found == family.series.end() ? 0 : found->second.value;
  }
  throw InternalError(cat("no metric ", name));
}

std::string Metrics::text() const {
  const std::scoped_lock lock(mutex_);
  std::string out;
  for (const Family& family : families_) {
    if (family.series.empty()) continue;
    const std::string name = family.name;
    out += "# HELP " + name + " " + family.help + "\n# TYPE " + name + " " + family.type + "\n";
    for (const auto& [labels, series] : family.series) {
      if (family.bounds.empty()) {
        out += name + braces(labels) + " " + number(series.value) + "\n";
        continue;
      }
      std::uint64_t count = 0;
      for (std::size_t i = 0; i < series.counts.size(); ++i) {
        count += series.counts[i];
        const std::string bound =
            i < family.bounds.size() ? number(family.bounds[i]) : std::string("+Inf");
        out += name + "_bucket" + braces(labels, "le=\"" + bound + "\"") + " " +
               std::to_string(count) + "\n";
      }
      out += name + "_sum" + braces(labels) + " " + number(series.value) + "\n";
      out += name + "_count" + braces(labels) + " " + std::to_string(count) + "\n";
    }
  }
  return out;
}

std::string label_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace plumb::service
