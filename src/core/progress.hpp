#pragma once
#include <cstdint>
#include <string>

namespace plumb {

/// Progress of long work on stderr: one live line (bar, share, rate, ETA) on a terminal, a plain
/// line now and then otherwise.
class Progress {
 public:
  /// @param unit  what is counted, e.g. "responses"
  Progress(std::string title, std::int64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::int64_t by = 1) { set(done_ + by); }
  void set(std::int64_t done);
  /// Text shown behind the rate, e.g. "loss 0.61".
  void note(std::string text) { note_ = std::move(text); }
  double seconds() const;

  static void set_quiet(bool quiet);
  /// Wipes the live line before something else writes to stderr.
  static void clear_line();

 private:
  void draw(bool final);
  std::string title_, unit_, note_;
  std::int64_t total_, done_ = 0;
  double start_, last_draw_ = 0;
};

}  // namespace plumb
