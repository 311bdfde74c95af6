#include "formats/gguf_header.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "formats/gguf_reader.hpp"

namespace plumb {
namespace {

constexpr std::uint64_t kMaxEntries = 65'536;  // key-value pairs, tensors
constexpr std::size_t kMaxTensorName = 63;     // ggml keeps 64 bytes with the NUL
constexpr std::uint32_t kMaxDims = 4;
constexpr std::int64_t kMaxAlignment = 1 << 20;
constexpr std::uint64_t kMaxValues = std::uint64_t{1} << 48;

void check_version(std::uint32_t version, const std::string& where) {
  if (version != 0 && (version & 0xffff) == 0) {
    throw DataError(cat(where, ": is a big-endian GGUF file, only little-endian ones can be read"));
  }
  if (version != 2 && version != 3) {
    throw DataError(cat(where, ": has GGUF version ", version, ", versions 2 and 3 can be read"));
  }
}

/// Name, shape and type; `begin` is still relative to the data section.
GgufTensor read_tensor_info(GgufReader& reader) {
  GgufTensor tensor;
  tensor.name = reader.string(kMaxTensorName);
  const std::string where = cat(reader.where(), ": tensor \"", tensor.name, "\"");
  const auto dims = reader.number<std::uint32_t>();
  if (dims == 0 || dims > kMaxDims) {
    throw DataError(cat(where, ": has ", dims, " dimensions, expected 1 to ", kMaxDims));
  }
  std::uint64_t values = 1;
  for (std::uint32_t d = 0; d < dims; ++d) {
    const auto extent = reader.number<std::uint64_t>();
    if (extent == 0 || extent > kMaxValues || __builtin_mul_overflow(values, extent, &values) ||
        values > kMaxValues) {
      throw DataError(cat(where, ": has an impossible dimension ", extent));
    }
    tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(extent));
  }
  const GgmlTypeInfo& info = ggml_type_info(reader.number<std::uint32_t>(), where);
  if (static_cast<std::uint64_t>(tensor.shape.back()) % info.block_values != 0) {
    throw DataError(cat(where, ": rows of ", tensor.shape.back(), " values do not fit blocks of ",
                        info.block_values, " (", info.name, ")"));
  }
  tensor.type = info.type;
  tensor.values = static_cast<std::int64_t>(values);
  tensor.bytes = values / info.block_values * info.block_bytes;
  tensor.begin = reader.number<std::uint64_t>();
  return tensor;
}

std::size_t alignment_of(const GgufMetadata& metadata) {
  constexpr std::int64_t kDefaultAlignment = 32;
  if (!metadata.has("general.alignment")) return kDefaultAlignment;
  const std::int64_t alignment = metadata.need_integer("general.alignment", 1, kMaxAlignment);
  if ((alignment & (alignment - 1)) != 0) {
    throw DataError(
        cat(metadata.where(), ": general.alignment = ", alignment, ", expected a power of two"));
  }
  return static_cast<std::size_t>(alignment);
}

/// Makes the offsets absolute and checks that the tensors lie apart from each other inside of the
/// file.
void place_tensors(GgufHeader& header, std::size_t header_end, std::size_t file_size,
                   const std::string& where) {
  const std::size_t alignment = alignment_of(header.metadata);
  const std::size_t data_begin = (header_end + alignment - 1) / alignment * alignment;
  std::vector<const GgufTensor*> by_place;
  for (GgufTensor& tensor : header.tensors) {
    if (tensor.begin % alignment != 0) {
      throw DataError(cat(where, ": tensor \"", tensor.name, "\" starts at offset ", tensor.begin,
                          ", expected a multiple of ", alignment));
    }
    if (data_begin > file_size || tensor.begin > file_size - data_begin ||
        tensor.bytes > file_size - data_begin - tensor.begin) {
      throw DataError(cat(where, ": tensor \"", tensor.name, "\" (", tensor.bytes,
                          " bytes) reaches past the end of the file: truncated or damaged"));
    }
    tensor.begin += data_begin;
    by_place.push_back(&tensor);
  }
  std::sort(by_place.begin(), by_place.end(),
            [](const auto* a, const auto* b) { return a->begin < b->begin; });
  for (std::size_t i = 1; i < by_place.size(); ++i) {
    if (by_place[i - 1]->begin + by_place[i - 1]->bytes > by_place[i]->begin) {
      throw DataError(cat(where, ": tensors \"", by_place[i - 1]->name, "\" and \"",
                          by_place[i]->name, "\" overlap"));
    }
  }
}

}  // namespace

GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& where) {
  GgufReader reader(file, where);
  if (reader.bytes(4) != "GGUF") throw DataError(cat(where, ": is not a GGUF file"));
  GgufHeader header;
  header.version = reader.number<std::uint32_t>();
  check_version(header.version, where);
  // The smallest entries: a pair is 8 + 4 + 1 bytes, a tensor 8 + 4 + 8 + 4 + 8.
  const auto tensor_count =
      reader.count(reader.number<std::uint64_t>(), 32, kMaxEntries, "tensors");
  const auto pair_count =
      reader.count(reader.number<std::uint64_t>(), 13, kMaxEntries, "key-value pairs");
  header.metadata = read_gguf_metadata(reader, pair_count);
  std::set<std::string> names;
  for (std::size_t i = 0; i < tensor_count; ++i) {
    header.tensors.push_back(read_tensor_info(reader));
    if (!names.insert(header.tensors.back().name).second) {
      throw DataError(cat(where, ": duplicate tensor \"", header.tensors.back().name, "\""));
    }
  }
  place_tensors(header, reader.position(), file.size(), where);
  return header;
}

}  // namespace plumb
