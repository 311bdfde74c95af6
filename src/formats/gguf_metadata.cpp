#include "formats/gguf_metadata.hpp"

#include "core/error.hpp"

namespace plumb {

void GgufMetadata::add(std::string key, GgufValue value) {
  const auto [place, added] = values_.emplace(std::move(key), std::move(value));
  if (!added) throw DataError(cat(where_, ": duplicate metadata key \"", place->first, "\""));
}

template <class T>
const T* GgufMetadata::find(const std::string& key, const char* expected) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    throw DataError(
        cat(where_, ": metadata key \"", key, "\" has another type, expected ", expected));
  }
  return value;
}

std::optional<std::int64_t> GgufMetadata::integer(const std::string& key) const {
  const auto* value = find<std::int64_t>(key, "an integer");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<double> GgufMetadata::number(const std::string& key) const {
  const auto found = values_.find(key);
  if (found != values_.end() && std::holds_alternative<std::int64_t>(found->second)) {
    return static_cast<double>(std::get<std::int64_t>(found->second));
  }
  const auto* value = find<double>(key, "a number");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<bool> GgufMetadata::boolean(const std::string& key) const {
  const auto* value = find<bool>(key, "true or false");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::string> GgufMetadata::text(const std::string& key) const {
  const auto* value = find<std::string>(key, "a string");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

const std::vector<std::int64_t>* GgufMetadata::integers(const std::string& key) const {
  return find<std::vector<std::int64_t>>(key, "an array of integers");
}

const std::vector<double>* GgufMetadata::numbers(const std::string& key) const {
  return find<std::vector<double>>(key, "an array of floats");
}

const std::vector<std::string>* GgufMetadata::texts(const std::string& key) const {
  return find<std::vector<std::string>>(key, "an array of strings");
}

std::int64_t GgufMetadata::need_integer(const std::string& key, std::int64_t low,
                                        std::int64_t high) const {
  const std::optional<std::int64_t> value = integer(key);
  if (!value) throw DataError(cat(where_, ": metadata key \"", key, "\" is missing"));
  if (*value < low || *value > high) {
    throw DataError(
        cat(where_, ": metadata key \"", key, "\" = ", *value, ", expected ", low, " to ", high));
  }
  return *value;
}

}  // namespace plumb
