#include "formats/safetensors_sax.hpp"

#include "core/error.hpp"

namespace plumb {
namespace {

constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxDims = 8;
constexpr std::uint64_t kMaxExtent = (std::uint64_t{1} << 48) - 1;  // the format's JSON schema
constexpr const char* kMetadataKey = "__metadata__";

}  // namespace

void SafetensorsSax::refuse(const std::string& what) const {
  throw DataError(cat(where_, ": header entry \"", name_.substr(0, 80), "\"",
                      field_.empty() ? "" : cat(", field \"", field_.substr(0, 80), "\""), ": ",
                      what, " is not allowed there"));
}

bool SafetensorsSax::start_object(std::size_t) {
  if (place_ == Place::kStart) {
    place_ = Place::kTop;
  } else if (place_ == Place::kTop) {
    place_ = name_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
    fields_.clear();
    if (place_ == Place::kTensor) begin_tensor();
  } else {
    refuse("an object");
  }
  return true;
}

void SafetensorsSax::begin_tensor() {
  if (header_.tensors.size() >= kMaxTensors) {
    throw DataError(cat(where_, ": holds more than ", kMaxTensors, " tensors"));
  }
  header_.tensors.emplace_back().name = name_;
  offset_count_ = 0;
}

bool SafetensorsSax::end_object() {
  if (place_ == Place::kTensor) finish_tensor();
  field_.clear();
  place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
  return true;
}

void SafetensorsSax::finish_tensor() {
  field_.clear();
  if (fields_.size() != 3) refuse("a tensor without all of dtype, shape and data_offsets");
}

bool SafetensorsSax::key(std::string& name) {
  if (place_ == Place::kTop) {
    name_ = name;
    if (name.size() > kMaxNameBytes) refuse("a name of more than 1024 bytes");
    if (!names_.insert(name).second) refuse("a duplicate name");
    return true;
  }
  field_ = name;
  if (place_ == Place::kTensor && name != "dtype" && name != "shape" && name != "data_offsets") {
    refuse("an unknown field");
  }
  if (!fields_.insert(name).second) refuse("a duplicate field");
  return true;
}

bool SafetensorsSax::string(std::string& text) {
  if (place_ == Place::kMetadata) {
    header_.metadata.emplace(field_, text);
  } else if (place_ == Place::kTensor && field_ == "dtype") {
    header_.tensors.back().dtype = safetensors_dtype(text, cat(where_, ": tensor \"", name_, "\""));
  } else {
    refuse("a string");
  }
  return true;
}

bool SafetensorsSax::start_array(std::size_t) {
  if (place_ != Place::kTensor || field_ == "dtype") refuse("an array");
  place_ = field_ == "shape" ? Place::kShape : Place::kOffsets;
  return true;
}

bool SafetensorsSax::end_array() {
  if (place_ == Place::kOffsets && offset_count_ != 2) refuse("other than two offsets");
  place_ = Place::kTensor;
  return true;
}

bool SafetensorsSax::number_unsigned(number_unsigned_t value) {
  if (place_ != Place::kShape && place_ != Place::kOffsets) refuse("a number");
  SafetensorsTensor& tensor = header_.tensors.back();
  if (place_ == Place::kShape) {
    if (value > kMaxExtent) refuse("an extent above 2^48 - 1");
    if (tensor.shape.size() >= kMaxDims) refuse("a shape of more than 8 dimensions");
    tensor.shape.push_back(static_cast<std::int64_t>(value));
  } else {
    if (++offset_count_ > 2) refuse("other than two offsets");
    (offset_count_ == 1 ? tensor.begin : tensor.end) = value;
  }
  return true;
}

bool SafetensorsSax::parse_error(std::size_t position, const std::string&,
                                 const nlohmann::json::exception&) {
  throw DataError(cat(where_, ": the header is not valid JSON near its byte ", position));
}

}  // namespace plumb
