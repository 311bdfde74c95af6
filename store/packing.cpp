#include <bit>
#include <cstring>

#include "store/database.hpp"

namespace plumb::store {
namespace {

static_assert(std::endian::native == std::endian::little, "packed columns are little-endian");

template <class Value>
std::vector<Value> unpack(std::string_view blob) {
  static_assert(sizeof(Value) == 4);
  if (blob.size() % sizeof(Value) != 0) {
    throw DataError(cat("packed column of ", blob.size(),
                        " bytes: expected a multiple of four; the row is damaged"));
  }
  std::vector<Value> values(blob.size() / sizeof(Value));
  if (!values.empty()) std::memcpy(values.data(), blob.data(), blob.size());
  return values;
}

}  // namespace

std::span<const std::byte> pack(std::span<const float> values) { return std::as_bytes(values); }
std::span<const std::byte> pack(std::span<const std::int32_t> values) {
  return std::as_bytes(values);
}
std::vector<float> unpack_floats(std::string_view blob) { return unpack<float>(blob); }
std::vector<std::int32_t> unpack_ids(std::string_view blob) { return unpack<std::int32_t>(blob); }

}  // namespace plumb::store
