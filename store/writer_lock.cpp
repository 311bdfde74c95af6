#include "store/writer_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "core/error.hpp"

namespace plumb::store {
namespace {

/// True if the path still names the open file: the holder before us may have removed it.
bool is_current(int fd, const std::filesystem::path& path) {
  struct stat opened {
  }, named{};
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

std::string holder(int fd) {
  std::array<char, 32> text{};
  const ssize_t size = pread(fd, text.data(), text.size() - 1, 0);
  return size > 0 ? cat(" (process ", std::atoll(text.data()), ")") : "";
}

}  // namespace

WriterLock::WriterLock(const std::filesystem::path& database) : path_(database.string() + ".lock") {
  for (;;) {
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) {
      throw DataError(cat(path_.string(), ": cannot be made (", std::strerror(errno),
                          "). The folder of a database must be writable"));
    }
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string who = holder(fd_);
      close(fd_);
      if (error == EINTR) continue;
      if (error == EWOULDBLOCK) {
        throw DataError(cat(
            database.string(), ": another plumb writes to it", who,
            ". Wait until it is done or stop it; `plumb watch` and `plumb sql` work meanwhile"));
      }
      throw DataError(cat(path_.string(), ": cannot be locked (", std::strerror(error), ")"));
    }
    if (is_current(fd_, path_)) break;
    close(fd_);
  }
  const std::string id = cat(getpid(), "\n");
  if (ftruncate(fd_, 0) == 0 && pwrite(fd_, id.data(), id.size(), 0) < 0) {
    errno = 0;  // only informs
  }
}

WriterLock::~WriterLock() {
  unlink(path_.c_str());
  close(fd_);
}

}  // namespace plumb::store
