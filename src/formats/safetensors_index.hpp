#pragma once
#include <map>
#include <string>
#include <string_view>

namespace plumb {

/// Reads `model.safetensors.index.json`: which file of the folder holds which tensor. File names
/// must be bare names ending in
/// `.safetensors`: no folder, no `..`. `metadata.total_size` is advisory and not checked. Throws
/// DataError.
/// @return tensor name -> file name
std::map<std::string, std::string> parse_safetensors_index(std::string_view json,
                                                           const std::string& where);

}  // namespace plumb
