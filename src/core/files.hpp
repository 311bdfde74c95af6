#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace plumb {

/// Whole file as bytes. Throws DataError if it cannot be read or is larger than `max_bytes`.
std::string read_file(const std::filesystem::path& file,
                      std::size_t max_bytes = std::size_t{1} << 32);

/// Writes `contents` so that a crash leaves either the old file or the new one, never a part: a
/// sibling temporary file is written, flushed to the disk and renamed. Throws DataError (with the
/// system's reason, e.g. a full disk).
void write_file_atomically(const std::filesystem::path& file, std::string_view contents);

/// The same with a callback that writes to a file descriptor.
void write_file_atomically(const std::filesystem::path& file,
                           const std::function<void(int fd)>& write);

/// Writes all bytes to a file descriptor; throws DataError naming `file` and the system's reason.
void write_all(int fd, const void* data, std::size_t size, const std::filesystem::path& file);

/// Flushes the files of a folder and its list of names to the disk. Throws DataError.
void sync_folder(const std::filesystem::path& folder);

/// Moves a finished folder to its final place, replacing what is there; both must be on one file
/// system.
void replace_folder(const std::filesystem::path& finished, const std::filesystem::path& target);

/// Read-only memory map of a whole file. The size is taken from the descriptor that is mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace plumb
