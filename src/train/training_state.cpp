#include "train/training_state.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/files.hpp"
#include "model/safetensors.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTensors = "state.safetensors";
constexpr const char* kHistory = "history.safetensors";
constexpr const char* kPosition = "position.json";

nlohmann::json to_json(const TrainingPosition& position) {
  return {{"steps_done", position.steps_done},
          {"total_steps", position.total_steps},
          {"order_seed", position.order_seed},
          {"pairs", position.pairs}};
}

void copy_into(at::Tensor& target, const TensorMap& tensors, const std::string& name,
               const fs::path& file) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.sizes() != target.sizes() ||
      found->second.scalar_type() != target.scalar_type()) {
    throw DataError(cat(file.string(), ": holds no tensor '", name,
                        "' of the expected type and shape; remove the folder to train the "
                        "iteration from its start"));
  }
  target.copy_(found->second);
}

}  // namespace

void write_training_state(const fs::path& folder, const TrainingPosition& position,
                          const std::vector<NamedParameter>& parameters,
                          const std::vector<at::Tensor>& first_moments,
                          const std::vector<at::Tensor>& second_moments,
                          const at::Tensor& history) {
  TensorMap tensors;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    tensors["weight." + parameters[i].name] = parameters[i].value;
    tensors["first_moment." + parameters[i].name] = first_moments[i];
    tensors["second_moment." + parameters[i].name] = second_moments[i];
  }
  const fs::path part = fs::path(folder).concat(".part");
  fs::remove_all(part);
  fs::create_directories(part);
  write_safetensors(part / kTensors, tensors, at::kFloat);
  if (history.defined()) write_safetensors(part / kHistory, {{"history", history}}, at::kDouble);
  write_file_atomically(part / kPosition, to_json(position).dump());
  replace_folder(part, folder);
}

std::int64_t read_training_state(const fs::path& folder, const TrainingPosition& expected,
                                 std::vector<NamedParameter>& parameters,
                                 std::vector<at::Tensor>& first_moments,
                                 std::vector<at::Tensor>& second_moments, at::Tensor& history) {
  const nlohmann::json stored =
      nlohmann::json::parse(read_file(folder / kPosition, 1 << 16), nullptr, false);
  const nlohmann::json wanted = to_json(expected);
  for (const char* name : {"total_steps", "order_seed", "pairs"}) {
    if (!stored.is_object() || stored.value(name, nlohmann::json()) != wanted.at(name)) {
      throw DataError(cat(folder.string(), ": belongs to another training (", name,
                          " differs); remove it to train the iteration from its start"));
    }
  }
  const TensorMap tensors = read_safetensors(folder / kTensors);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    copy_into(parameters[i].value, tensors, "weight." + parameters[i].name, folder / kTensors);
    copy_into(first_moments[i], tensors, "first_moment." + parameters[i].name, folder / kTensors);
    copy_into(second_moments[i], tensors, "second_moment." + parameters[i].name, folder / kTensors);
  }
  if (history.defined())
    copy_into(history, read_safetensors(folder / kHistory), "history", folder / kHistory);
  return stored.at("steps_done").get<std::int64_t>();
}

}  // namespace plumb
