#include "core/files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& file, const char* action) {
  throw DataError(cat(file.string(), ": cannot ", action, ": ", std::strerror(errno)));
}

void sync_path(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::string read_file(const fs::path& file, std::size_t max_bytes) {
  if (fs::is_directory(file)) throw DataError(cat(file.string(), ": is a folder, expected a file"));
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) fail(file, "be read");
  const auto size = static_cast<std::size_t>(std::max<std::streamoff>(0, in.tellg()));
  if (size > max_bytes) {
    throw DataError(
        cat(file.string(), ": holds ", size, " bytes, at most ", max_bytes, " are accepted"));
  }
  std::string contents(size, '\0');
  in.seekg(0);
  in.read(contents.data(), static_cast<std::streamsize>(size));
  if (static_cast<std::size_t>(in.gcount()) != size) fail(file, "be read to its end");
  return contents;
}

void write_all(int fd, const void* data, std::size_t size, const fs::path& file) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd, bytes, std::min<std::size_t>(size, std::size_t{1} << 30));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(file, "be written");
    }
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

void write_file_atomically(const fs::path& file, const std::function<void(int)>& write) {
  const fs::path temporary = fs::path(file).concat(".part");
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail(temporary, "be created");
  try {
    write(fd);
    if (::fsync(fd) != 0) fail(temporary, "be flushed to the disk");
  } catch (...) {
    ::close(fd);
    ::unlink(temporary.c_str());
    throw;
  }
  if (::close(fd) != 0) fail(temporary, "be closed");
  if (::rename(temporary.c_str(), file.c_str()) != 0) fail(file, "be replaced");
  sync_path(file.has_parent_path() ? file.parent_path() : fs::path("."));
}

void write_file_atomically(const fs::path& file, std::string_view contents) {
  write_file_atomically(file,
                        [&](int fd) { write_all(fd, contents.data(), contents.size(), file); });
}

void sync_folder(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(entry.path(), "be opened");
    const int failed = ::fsync(fd);
    ::close(fd);
    if (failed != 0) fail(entry.path(), "be flushed to the disk");
  }
  sync_path(folder);
}

void replace_folder(const fs::path& finished, const fs::path& target) {
  std::error_code ignored;
  if (fs::exists(target)) {
    const fs::path old = fs::path(target).concat(".old");
    fs::remove_all(old, ignored);
    fs::rename(target, old);
    fs::rename(finished, target);
    fs::remove_all(old, ignored);
  } else {
    fs::rename(finished, target);
  }
  sync_path(target.has_parent_path() ? target.parent_path() : fs::path("."));
}

MappedFile::MappedFile(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(file, "be opened");
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw DataError(cat(file.string(), ": is not a regular file"));
  }
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ > 0) {
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
      ::close(fd);
      fail(file, "be mapped");
    }
    data_ = static_cast<const std::byte*>(map);
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace plumb
