#include "core/files.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "core/error.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;
namespace fs = std::filesystem;

/// While it lives, files of this process cannot grow beyond `bytes`: a full disk for one process.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_CASE("files: what was written is read back", "[core][unit]") {
  const test::TempDir folder;
  const std::string contents("line\r\n\0\xFF end", 13);
  write_file_atomically(folder / "a", contents);
  CHECK(read_file(folder / "a") == contents);
  write_file_atomically(folder / "a", "");
  CHECK(read_file(folder / "a").empty());
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("files: reading refuses folders, missing files and too large ones", "[core][unit]") {
  const test::TempDir folder;
  write_file_atomically(folder / "a", "12345");
  CHECK_THROWS_WITH(read_file(folder.path()), Contains("is a folder"));
  CHECK_THROWS_WITH(read_file(folder / "missing"), Contains("missing") && Contains("No such file"));
  CHECK_THROWS_WITH(read_file(folder / "a", 4), Contains("5 bytes") && Contains("at most 4"));
  CHECK(read_file(folder / "a", 5) == "12345");
}

TEST_CASE("files: a write that does not fit leaves the old file and no rest", "[core][unit]") {
  const test::TempDir folder;
  write_file_atomically(folder / "a", "old");
  {
    const FileSizeLimit limit(4096);
    CHECK_THROWS_AS(write_file_atomically(folder / "a", std::string(10000, 'x')), DataError);
  }
  CHECK(read_file(folder / "a") == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("files: an exception inside of the writer leaves the old file and no rest",
          "[core][unit]") {
  const test::TempDir folder;
  write_file_atomically(folder / "a", "old");
  const auto broken = [&](int fd) {
    write_all(fd, "half", 4, folder / "a");
    throw std::runtime_error("stopped");
  };
  CHECK_THROWS_WITH(write_file_atomically(folder / "a", broken), "stopped");
  CHECK(read_file(folder / "a") == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("files: a full device is named with the system's reason", "[core][unit]") {
  const int fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  CHECK_THROWS_WITH(write_all(fd, "x", 1, "policy/model.safetensors"),
                    Contains("policy/model.safetensors") && Contains("No space left"));
  ::close(fd);
}

TEST_CASE("files: a folder that does not exist is an error that names it", "[core][unit]") {
  const test::TempDir folder;
  CHECK_THROWS_WITH(write_file_atomically(folder / "no" / "a", "x"),
                    Contains("no/a") && Contains("No such file"));
}

TEST_CASE("files: replace_folder moves a finished folder over an older one", "[core][unit]") {
  const test::TempDir folder;
  fs::create_directory(folder / "new");
  write_file_atomically(folder / "new" / "a", "1");
  replace_folder(folder / "new", folder / "final");
  CHECK(read_file(folder / "final" / "a") == "1");
  fs::create_directory(folder / "new");
  write_file_atomically(folder / "new" / "b", "2");
  replace_folder(folder / "new", folder / "final");
  CHECK(read_file(folder / "final" / "b") == "2");
  CHECK_FALSE(fs::exists(folder / "final" / "a"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("files: a memory map shows the file's bytes", "[core][unit]") {
  const test::TempDir folder;
  write_file_atomically(folder / "a", "mapped");
  const MappedFile map(folder / "a");
  REQUIRE(map.size() == 6);
  CHECK(std::memcmp(map.data(), "mapped", 6) == 0);
  write_file_atomically(folder / "empty", "");
  CHECK(MappedFile(folder / "empty").size() == 0);
  CHECK_THROWS_AS(MappedFile(folder / "missing"), DataError);
  CHECK_THROWS_WITH(MappedFile(folder.path()), Contains("not a regular file"));
}

}  // namespace
}  // namespace plumb
