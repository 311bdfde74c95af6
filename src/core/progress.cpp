#include "core/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/clock.hpp"

namespace plumb {
namespace {

bool quiet = false;
bool line_open = false;

bool on_terminal() {
  static const bool value = ::isatty(STDERR_FILENO) == 1;
  return value;
}

std::string duration(double seconds) {
  char text[32];
  const auto s = static_cast<long>(seconds + 0.5);
  if (s < 60) {
    std::snprintf(text, sizeof text, "%lds", s);
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%ldm%02lds", s / 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%ldh%02ldm", s / 3600, s / 60 % 60);
  }
  return text;
}

}  // namespace

Progress::Progress(std::string title, std::int64_t total, std::string unit)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      start_(monotonic_seconds()) {}

Progress::~Progress() {
  if (done_ > 0) draw(true);
}

double Progress::seconds() const { return monotonic_seconds() - start_; }

void Progress::set(std::int64_t done) {
  done_ = done;
  const double now = monotonic_seconds();
  if (now - last_draw_ < (on_terminal() ? 0.1 : 10.0)) return;
  last_draw_ = now;
  draw(false);
}

void Progress::draw(bool final) {
  if (quiet) return;
  const double elapsed = std::max(seconds(), 1e-9);
  const double rate = static_cast<double>(done_) / elapsed;
  const double share =
      total_ > 0 ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 1.0;
  std::string line = title_ + " ";
  if (on_terminal()) {
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(share * kWidth);
    for (int i = 0; i < kWidth; ++i) line += i < filled ? "\u2588" : "\u2591";
    line += " ";
  }
  char text[160];
  std::snprintf(text, sizeof text, "%3.0f%% %ld/%ld %s, %.*f/s, %s %s", 100 * share,
                static_cast<long>(done_), static_cast<long>(total_), unit_.c_str(),
                rate < 10 ? 2 : 0, rate, final ? "took" : "ETA",
                duration(final ? elapsed
                               : static_cast<double>(std::max<std::int64_t>(0, total_ - done_)) /
                                     std::max(rate, 1e-9))
                    .c_str());
  line += text;
  if (!note_.empty()) line += ", " + note_;
  if (on_terminal()) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), final ? "\n" : "");
    line_open = !final;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

void Progress::set_quiet(bool value) { quiet = value; }

void Progress::clear_line() {
  if (!line_open) return;
  std::fputs("\r\033[K", stderr);
  line_open = false;
}

}  // namespace plumb
