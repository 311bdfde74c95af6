#include "formats/safetensors_index.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "formats/json_text.hpp"

namespace plumb {
namespace {

bool is_bare_file_name(const std::string& name) {
  constexpr std::string_view kSuffix = ".safetensors";
  return name.size() > kSuffix.size() && name.size() < 256 && name.ends_with(kSuffix) &&
         name.front() != '.' && name.find_first_of("/\\:") == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

std::map<std::string, std::string> parse_safetensors_index(std::string_view text,
                                                           const std::string& where) {
  const nlohmann::json index = parse_json_object(text, where);
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object() || weight_map->empty()) {
    throw DataError(cat(where, ": has no \"weight_map\" object"));
  }
  std::map<std::string, std::string> file_of;
  for (const auto& [tensor, file] : weight_map->items()) {
    if (!file.is_string() || !is_bare_file_name(file.get_ref<const std::string&>())) {
      throw DataError(cat(where, ": tensor \"", tensor.substr(0, 80), "\" is mapped to ",
                          file.is_string() ? file.dump().substr(0, 80) : file.type_name(),
                          ", expected a file name of this folder ending in .safetensors"));
    }
    file_of.emplace(tensor, file.get<std::string>());
  }
  return file_of;
}

}  // namespace plumb
