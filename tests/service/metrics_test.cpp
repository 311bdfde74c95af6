#include "service/metrics.hpp"

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb::service;

TEST_CASE("metrics are Prometheus text: cumulative buckets, +Inf, sum and count",
          "[service][unit]") {
  Metrics metrics;
  metrics.observe("plumb_batch_size", 1);
  metrics.observe("plumb_batch_size", 3);
  metrics.observe("plumb_batch_size", 1e9);
  metrics.add("plumb_requests_total", R"(route="/score",code="200")");
  metrics.add("plumb_requests_total", R"(route="/score",code="200")", 2);
  const std::string text = metrics.text();
  const auto has = [&](const std::string& line) {
    return text.find(line + "\n") != std::string::npos;
  };
  CHECK(has("# TYPE plumb_batch_size histogram"));
  CHECK(has("plumb_batch_size_bucket{le=\"1\"} 1"));
  CHECK(has("plumb_batch_size_bucket{le=\"2\"} 1"));
  CHECK(has("plumb_batch_size_bucket{le=\"4\"} 2"));
  CHECK(has("plumb_batch_size_bucket{le=\"+Inf\"} 3"));
  CHECK(has("plumb_batch_size_sum 1000000004"));
  CHECK(has("plumb_batch_size_count 3"));
  CHECK(has("plumb_requests_total{route=\"/score\",code=\"200\"} 3"));
  CHECK(metrics.value("plumb_requests_total", R"(route="/score",code="200")") == 3);
  CHECK_THROWS_AS(metrics.add("plumb_unknown"), plumb::InternalError);
  CHECK(label_value("a\"b\\c\nd") == R"(a\"b\\c\nd)");
}

TEST_CASE("latency buckets are fine where scoring takes milliseconds", "[service][unit]") {
  Metrics metrics;
  for (const double seconds : {0.002, 0.004, 0.008})
    metrics.observe("plumb_queue_seconds", seconds);
  const std::string text = metrics.text();
  int buckets = 0;
  for (std::size_t at = text.find("le=\""); at != std::string::npos;
       at = text.find("le=\"", at + 1))
    ++buckets;
  CHECK(buckets == 36);
  CHECK(text.find("plumb_queue_seconds_count 3\n") != std::string::npos);
}
