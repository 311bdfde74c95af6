#pragma once
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "formats/safetensors_header.hpp"

namespace plumb {

/// The dtype with this name. Throws DataError listing the supported ones.
SafetensorsDtype safetensors_dtype(std::string_view name, const std::string& where);

/// Reads the JSON header event by event, so that nothing of a hostile header is built before it is
/// checked: its only legal forms are {name: {dtype, shape, data_offsets}} and {"__metadata__":
/// {string: string}}. Every other event throws DataError.
class SafetensorsSax final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsSax(SafetensorsHeader& header, const std::string& where)
      : header_(header), where_(where) {}

  bool start_object(std::size_t) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool key(std::string& name) override;
  bool string(std::string& text) override;
  bool number_unsigned(number_unsigned_t value) override;
  bool number_integer(number_integer_t) override { refuse("a negative number"); }
  bool number_float(number_float_t, const std::string&) override { refuse("a fraction"); }
  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("true or false"); }
  bool binary(binary_t&) override { refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override;

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };
  [[noreturn]] void refuse(const std::string& what) const;
  void begin_tensor();
  void finish_tensor();

  SafetensorsHeader& header_;
  const std::string& where_;
  Place place_ = Place::kStart;
  std::string name_;              // key at the top level
  std::string field_;             // key inside of a tensor or of the metadata
  std::set<std::string> names_;   // all keys at the top level
  std::set<std::string> fields_;  // fields of the current tensor
  std::size_t offset_count_ = 0;
};

}  // namespace plumb
