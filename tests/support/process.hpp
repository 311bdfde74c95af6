#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/files.hpp"

/// The real program as a child process.
namespace plumb::test {

class Process {
 public:
  /// Starts build/plumb with arguments; its standard input, output and error are files of `folder`.
  Process(const TempDir& folder, const std::vector<std::string>& arguments,
          const std::string& input = "")
      : out_(folder / "stdout"), err_(folder / "stderr") {
    std::ofstream(folder / "stdin") << input;
    pid_ = fork();
    if (pid_ == 0) {
      redirect((folder / "stdin").string(), O_RDONLY, STDIN_FILENO);
      redirect(out_.string(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
      redirect(err_.string(), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
      const std::string program = std::string(PLUMB_BINARY_DIR) + "/plumb";
      std::vector<char*> argv{const_cast<char*>(program.c_str())};
      for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      execv(program.c_str(), argv.data());
      _exit(127);
    }
  }
  ~Process() {
    if (running_) kill_and_wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() {
    if (running_ && waitpid(pid_, &status_, WNOHANG) == pid_) running_ = false;
    return running_;
  }
  /// SIGKILL: no handler, no clean-up.
  void kill_and_wait() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  /// @return exit code, or 128 + signal
  int wait() {
    if (running_) waitpid(pid_, &status_, 0);
    running_ = false;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }
  std::string output() const { return contents(out_); }
  std::string errors() const { return contents(err_); }

 private:
  static void redirect(const std::string& file, int flags, int descriptor) {
    const int opened = open(file.c_str(), flags, 0644);
    if (opened < 0) _exit(126);
    dup2(opened, descriptor);
  }
  static std::string contents(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  pid_t pid_ = 0;
  int status_ = 0;
  bool running_ = true;
  std::filesystem::path out_, err_;
};

struct Outcome {
  int code;
  std::string out, err;
};

/// Runs `plumb` to its end.
inline Outcome run_plumb(const TempDir& dir, const std::vector<std::string>& arguments,
                         const std::string& input = "") {
  Process process(dir, arguments, input);
  const int code = process.wait();
  return {code, process.output(), process.errors()};
}

}  // namespace plumb::test
