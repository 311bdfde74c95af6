#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/strings.hpp"
#include "model/checkpoint.hpp"
#include "model/safetensors.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

bool holds_weights(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") ||
         fs::exists(folder / "model.safetensors.index.json");
}

std::vector<std::string> names_in(const fs::path& folder,
                                  bool (*wanted)(const fs::directory_entry&)) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (wanted(entry)) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_gguf(const fs::directory_entry& entry) { return entry.path().extension() == ".gguf"; }

/// The folder itself, or the one GGUF file in it.
fs::path resolve_folder(const fs::path& folder) {
  if (holds_weights(folder)) return folder;
  const auto ggufs = names_in(folder, is_gguf);
  if (ggufs.size() == 1) return folder / ggufs.front();
  if (ggufs.size() > 1) {
    throw DataError(cat(folder.string(), ": holds several GGUF files (", join(ggufs, ", "),
                        "); give the path of one of them"));
  }
  throw DataError(
      cat(folder.string(), ": holds no model.safetensors and no .gguf file", pickle_hint(folder)));
}

/// NAME or ORG/NAME in the characters the hub allows; no path.
bool looks_like_hub_id(const std::string& model) {
  if (model.empty() || model.size() > 200 || std::count(model.begin(), model.end(), '/') > 1)
    return false;
  if (model.front() == '/' || model.back() == '/' || model.front() == '.') return false;
  if (model.find("..") != std::string::npos || model.find("/.") != std::string::npos) return false;
  return std::all_of(model.begin(), model.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '-' || c == '_' || c == '.';
  });
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Where huggingface_hub keeps downloads: HF_HUB_CACHE, else HF_HOME/hub, else
/// ~/.cache/huggingface/hub.
fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string value = environment(name); !value.empty()) return value;
  }
  if (const std::string home = environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const std::string xdg = environment("XDG_CACHE_HOME"); !xdg.empty()) {
    return fs::path(xdg) / "huggingface" / "hub";
  }
  return fs::path(environment("HOME")) / ".cache" / "huggingface" / "hub";
}

/// models--ORG--NAME of the cache.
fs::path cached_repository(const std::string& id) {
  std::string folder = "models--" + id;
  if (const std::size_t slash = folder.find('/'); slash != std::string::npos) {
    folder.replace(slash, 1, "--");
  }
  return hub_cache() / folder;
}

/// The snapshot that refs/main names, or the only one there is; empty if the repository is not
/// cached.
fs::path cached_snapshot(const fs::path& repository) {
  constexpr std::size_t kMaxRefBytes = 256;
  const fs::path ref = repository / "refs" / "main";
  if (fs::is_regular_file(ref)) {
    const std::string contents = read_file(ref, kMaxRefBytes);
    const std::string revision(trim(contents));
    const bool plain =
        !revision.empty() && std::all_of(revision.begin(), revision.end(),
                                         [](unsigned char c) { return std::isalnum(c) != 0; });
    if (plain && fs::is_directory(repository / "snapshots" / revision)) {
      return repository / "snapshots" / revision;
    }
  }
  const auto snapshots = names_in(repository / "snapshots", [](const fs::directory_entry& entry) {
    return entry.is_directory();
  });
  return snapshots.size() == 1 ? repository / "snapshots" / snapshots.front() : fs::path();
}

/// "; 'models/smol' does not exist, did you mean 'models/smollm2'?" for the first part of a path
/// that is missing.
std::string path_hint(const fs::path& given) {
  fs::path existing;
  for (const fs::path& part : given) {
    const fs::path next = existing / part;
    if (fs::exists(next)) {
      existing = next;
      continue;
    }
    if (existing.empty() && !given.has_parent_path()) break;
    const fs::path folder = existing.empty() ? fs::path(".") : existing;
    const auto names = names_in(folder, [](const fs::directory_entry&) { return true; });
    const std::string nearest = nearest_name(part.string(), names);
    return cat("; '", folder.string(), "' has no '", part.string(), "'",
               nearest.empty() ? "" : cat(", did you mean '", (folder / nearest).string(), "'?"));
  }
  const auto names = names_in(".", [](const fs::directory_entry&) { return true; });
  const std::string nearest = nearest_name(given.string(), names);
  return nearest.empty() ? "" : cat("; did you mean '", nearest, "'?");
}

}  // namespace

fs::path resolve_model(const std::string& model) {
  if (model.empty())
    throw DataError("model: the name is empty, expected a folder, a .gguf file or a hub id");
  const fs::path path(model);
  if (fs::is_directory(path)) return resolve_folder(path);
  if (fs::exists(path)) {
    if (path.extension() == ".gguf") return path;
    throw DataError(
        cat("model '", model,
            "': is a file but not a .gguf; expected a model folder, a .gguf file or a hub id"));
  }
  std::string tried = cat("model '", model, "': no such folder or file", path_hint(path));
  if (!looks_like_hub_id(model)) throw DataError(tried);
  const fs::path repository = cached_repository(model);
  const fs::path snapshot = cached_snapshot(repository);
  if (!snapshot.empty()) return resolve_folder(snapshot);
  throw DataError(cat(tried, "; not in the Hugging Face cache either (", repository.string(),
                      "). If it is a hub id, `hf download ", model, "` puts it there"));
}

}  // namespace plumb
