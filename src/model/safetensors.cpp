#include "model/safetensors.hpp"

#include <ATen/ops/empty.h>

#include <array>
#include <cstring>
#include <set>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "formats/safetensors_header.hpp"
#include "formats/safetensors_index.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<SafetensorsDtype, at::ScalarType>, 10> kTypes{{
    {SafetensorsDtype::kBool, at::kBool},
    {SafetensorsDtype::kU8, at::kByte},
    {SafetensorsDtype::kI8, at::kChar},
    {SafetensorsDtype::kI16, at::kShort},
    {SafetensorsDtype::kF16, at::kHalf},
    {SafetensorsDtype::kBF16, at::kBFloat16},
    {SafetensorsDtype::kI32, at::kInt},
    {SafetensorsDtype::kF32, at::kFloat},
    {SafetensorsDtype::kF64, at::kDouble},
    {SafetensorsDtype::kI64, at::kLong},
}};

at::ScalarType torch_type(SafetensorsDtype dtype) {
  return kTypes[static_cast<std::size_t>(dtype)].second;
}

SafetensorsDtype file_type(at::ScalarType type) {
  for (const auto& [dtype, torch] : kTypes) {
    if (torch == type) return dtype;
  }
  throw InternalError("weights cannot be written in this type");
}

at::Tensor copy_out(const SafetensorsTensor& tensor, const std::byte* data) {
  at::Tensor copy = at::empty(tensor.shape, torch_type(tensor.dtype));
  if (tensor.end > tensor.begin) {
    std::memcpy(copy.data_ptr(), data + tensor.begin, tensor.end - tensor.begin);
  }
  return copy;
}

/// Adds a shard to `all` after checking that it holds the tensors mapped to it.
void add_shard(const fs::path& file, const std::set<std::string>& mapped, TensorMap& all) {
  TensorMap shard = read_safetensors(file);
  for (const std::string& name : mapped) {
    if (!shard.contains(name)) {
      throw DataError(
          cat(file.string(), ": tensor \"", name, "\" is missing, the index maps it here"));
    }
  }
  for (auto& [name, tensor] : shard) {
    if (!all.emplace(name, std::move(tensor)).second) {
      throw DataError(cat(file.string(), ": tensor \"", name, "\" is in another shard, too"));
    }
  }
}

}  // namespace

TensorMap read_safetensors(const fs::path& file) {
  const MappedFile mapped(file);
  const auto header = parse_safetensors_header({mapped.data(), mapped.size()}, file.string());
  TensorMap tensors;
  for (const SafetensorsTensor& tensor : header.tensors) {
    tensors.emplace(tensor.name, copy_out(tensor, mapped.data() + header.data_begin));
  }
  return tensors;
}

std::string pickle_hint(const fs::path& folder) {
  const bool pickled = fs::exists(folder / "pytorch_model.bin") ||
                       fs::exists(folder / "pytorch_model.bin.index.json");
  return pickled
             ? "; its pytorch_model.bin is not read because a pickle can run code: save the model "
               "again with save_pretrained(..., safe_serialization=True)"
             : "";
}

TensorMap read_safetensors_folder(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors";
  if (fs::exists(single)) return read_safetensors(single);
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::exists(index)) {
    throw DataError(cat(folder.string(), ": holds neither model.safetensors nor ",
                        index.filename().string(), pickle_hint(folder)));
  }
  constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;
  std::map<std::string, std::set<std::string>> names_of;
  for (const auto& [tensor, file] :
       parse_safetensors_index(read_file(index, kMaxIndexBytes), index.string())) {
    names_of[file].insert(tensor);
  }
  TensorMap all;
  for (const auto& [file, names] : names_of) add_shard(folder / file, names, all);
  return all;
}

std::string write_safetensors(const fs::path& file, const TensorMap& tensors,
                              at::ScalarType dtype) {
  std::vector<SafetensorsTensor> layout;
  for (const auto& [name, tensor] : tensors) {
    SafetensorsTensor& entry = layout.emplace_back();
    entry.name = name;
    entry.dtype = file_type(dtype);
    entry.shape = tensor.sizes().vec();
  }
  const std::string header = make_safetensors_header(layout, {{"format", "pt"}});
  Sha256 hash;
  write_file_atomically(file, [&](int fd) {
    const auto write = [&](const void* data, std::size_t size) {
      hash.update(data, size);
      write_all(fd, data, size, file);
    };
    write(header.data(), header.size());
    for (const SafetensorsTensor& entry : layout) {
      const at::Tensor value = tensors.at(entry.name).detach().to(at::kCPU, dtype).contiguous();
      write(value.const_data_ptr(), value.nbytes());
    }
  });
  return to_hex(hash.finish());
}

}  // namespace plumb
