#pragma once
#include <filesystem>

namespace plumb::store {

/// Advisory lock (flock) on FILE.lock: at most one writer a database. The kernel drops it with the
/// process, however that ends; the file itself is removed when the lock is given back.
class WriterLock {
 public:
  /// Throws DataError if another writer holds it (with its process id) or the folder cannot be
  /// written.
  explicit WriterLock(const std::filesystem::path& database);
  ~WriterLock();
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace plumb::store
