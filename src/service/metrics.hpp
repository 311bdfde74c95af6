#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace plumb::service {

/// Counters, gauges and histograms of the service, in Prometheus' text format 0.0.4. Safe to use
/// from several threads. A name that is not in the table of metrics.cpp is a bug.
class Metrics {
 public:
  Metrics();
  /// @param labels  e.g. `route="/score",code="200"`; values come from label_value()
  void add(std::string_view name, const std::string& labels = "", double amount = 1);
  void set(std::string_view name, double value, const std::string& labels = "");
  void observe(std::string_view name, double value, const std::string& labels = "");
  double value(std::string_view name, const std::string& labels = "") const;
  std::string text() const;

 private:
  struct Series {
    double value = 0;                   // counter, gauge; sum of a histogram
    std::vector<std::uint64_t> counts;  // [bounds + 1], not cumulative
  };
  struct Family {
    const char* name;
    const char* type;
    const char* help;
    std::vector<double> bounds;
    std::map<std::string, Series> series;
  };
  Family& find(std::string_view name);

  mutable std::mutex mutex_;
  std::vector<Family> families_;
};

/// A label's value with backslash, quote and line end escaped.
std::string label_value(std::string_view text);

}  // namespace plumb::service
