#include "formats/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "formats/safetensors_sax.hpp"

namespace plumb {
namespace {

struct DtypeRow {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<DtypeRow, 10> kDtypes{{{"BOOL", 1},
                                            {"U8", 1},
                                            {"I8", 1},
                                            {"I16", 2},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"I32", 4},
                                            {"F32", 4},
                                            {"F64", 8},
                                            {"I64", 8}}};

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference library's limit

std::uint64_t load_le64(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

/// Size of a tensor's data; DataError where the product leaves 64 bits.
std::size_t data_bytes(const SafetensorsTensor& tensor, const std::string& where) {
  std::size_t bytes = 1;
  for (const std::int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes)) {
      throw DataError(cat(where, ": shape of tensor \"", tensor.name, "\" overflows 64 bits"));
    }
  }
  if (__builtin_mul_overflow(bytes, bytes_of(tensor.dtype), &bytes)) {
    throw DataError(cat(where, ": size of tensor \"", tensor.name, "\" overflows 64 bits"));
  }
  return bytes;
}

/// Tensors must tile the data section without holes or overlaps, up to the end of the file.
void check_layout(SafetensorsHeader& header, std::size_t data_size, const std::string& where) {
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::size_t expected = 0;
  for (const SafetensorsTensor& tensor : header.tensors) {
    if (tensor.begin != expected || tensor.end < tensor.begin) {
      throw DataError(cat(where, ": tensor \"", tensor.name, "\" has offsets [", tensor.begin, ", ",
                          tensor.end, "), expected to start at ", expected,
                          " (tensors must follow each other without holes or overlaps)"));
    }
    const std::size_t size = data_bytes(tensor, where);
    if (tensor.end - tensor.begin != size) {
      throw DataError(cat(where, ": tensor \"", tensor.name, "\" holds ", tensor.end - tensor.begin,
                          " bytes, its dtype and shape need ", size));
    }
    expected = tensor.end;
  }
  if (expected != data_size) {
    throw DataError(cat(where, ": the tensors end at byte ", expected,
                        " of the data, the data has ", data_size,
                        " bytes: the file is truncated or damaged"));
  }
}

}  // namespace

std::string_view name_of(SafetensorsDtype dtype) {
  return kDtypes[static_cast<std::size_t>(dtype)].name;
}

std::size_t bytes_of(SafetensorsDtype dtype) {
  return kDtypes[static_cast<std::size_t>(dtype)].bytes;
}

SafetensorsDtype safetensors_dtype(std::string_view name, const std::string& where) {
  std::string known;
  for (std::size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return static_cast<SafetensorsDtype>(i);
    known += (known.empty() ? "" : ", ") + std::string(kDtypes[i].name);
  }
  throw DataError(cat(where, ": dtype \"", name, "\" is not supported; supported are ", known));
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& where) {
  constexpr std::size_t kLengthBytes = 8;
  if (file.size() < kLengthBytes) {
    throw DataError(cat(where, ": has ", file.size(), " bytes, too few for a safetensors file"));
  }
  const std::uint64_t length = load_le64(file.data());
  if (length > kMaxHeaderBytes || length > file.size() - kLengthBytes) {
    throw DataError(cat(where, ": announces a header of ", length, " bytes, the file has ",
                        file.size(), ": not a safetensors file, or truncated"));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  // nlohmann's parser skips a byte-order mark and takes NUL for the end of the text.
  if (text.empty() || text.front() != '{' || std::memchr(text.data(), 0, text.size()) != nullptr) {
    throw DataError(cat(where, ": the header is not JSON text that begins with {"));
  }
  SafetensorsHeader header;
  header.data_begin = kLengthBytes + length;
  SafetensorsSax handler(header, where);
  nlohmann::json::sax_parse(text, &handler);
  check_layout(header, file.size() - header.data_begin, where);
  return header;
}

std::string make_safetensors_header(std::vector<SafetensorsTensor>& tensors,
                                    const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (SafetensorsTensor& tensor : tensors) {
    tensor.begin = offset;
    offset += data_bytes(tensor, "tensor to write");
    tensor.end = offset;
    json[tensor.name] = {{"dtype", name_of(tensor.dtype)},
                         {"shape", tensor.shape},
                         {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = json.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(text.size()) >> (8 * i) & 0xff));
  }
  return bytes + text;
}

}  // namespace plumb
