#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace plumb::test {

/// Writes small GGUF files for tests, byte by byte after the format's description.
class GgufBuilder {
 public:
  template <class T>
  static void put(std::string& out, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
  }
  static void put_string(std::string& out, const std::string& text) {
    put<std::uint64_t>(out, text.size());
    out += text;
  }

  template <class T>
  GgufBuilder& pair(const std::string& key, std::uint32_t type, T value) {
    begin_pair(key, type);
    put(pairs_, value);
    return *this;
  }
  GgufBuilder& u32(const std::string& key, std::uint32_t value) { return pair(key, 4, value); }
  GgufBuilder& f32(const std::string& key, float value) { return pair(key, 6, value); }
  GgufBuilder& boolean(const std::string& key, bool value) {
    return pair(key, 7, static_cast<std::uint8_t>(value));
  }
  GgufBuilder& text(const std::string& key, const std::string& value) {
    begin_pair(key, 8);
    put_string(pairs_, value);
    return *this;
  }
  template <class T>
  GgufBuilder& array(const std::string& key, std::uint32_t item_type, const std::vector<T>& items) {
    begin_pair(key, 9);
    put(pairs_, item_type);
    put<std::uint64_t>(pairs_, items.size());
    for (const T& item : items) {
      if constexpr (std::is_same_v<T, std::string>) {
        put_string(pairs_, item);
      } else {
        put(pairs_, item);
      }
    }
    return *this;
  }

  /// @param dims  as stored: the contiguous one first
  GgufBuilder& tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                      std::uint32_t type, const std::string& data) {
    while (data_.size() % alignment_ != 0) data_.push_back('\0');
    return tensor_at(name, dims, type, data_.size(), data);
  }
  GgufBuilder& tensor_at(const std::string& name, const std::vector<std::uint64_t>& dims,
                         std::uint32_t type, std::uint64_t offset, const std::string& data) {
    put_string(infos_, name);
    put<std::uint32_t>(infos_, static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t extent : dims) put(infos_, extent);
    put(infos_, type);
    put(infos_, offset);
    data_ += data;
    ++tensors_;
    return *this;
  }
  GgufBuilder& align(std::size_t alignment) {
    alignment_ = alignment;
    return *this;
  }
  GgufBuilder& version(std::uint32_t version) {
    version_ = version;
    return *this;
  }

  std::string file() const {
    std::string out = "GGUF";
    put(out, version_);
    put(out, tensors_);
    put(out, pair_count_);
    out += pairs_ + infos_;
    while (out.size() % alignment_ != 0) out.push_back('\0');
    return out + data_;
  }

 private:
  void begin_pair(const std::string& key, std::uint32_t type) {
    put_string(pairs_, key);
    put(pairs_, type);
    ++pair_count_;
  }

  std::string pairs_, infos_, data_;
  std::uint64_t tensors_ = 0, pair_count_ = 0;
  std::uint32_t version_ = 3;
  std::size_t alignment_ = 32;
};

/// Bytes of a float array.
inline std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace plumb::test
