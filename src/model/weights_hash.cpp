#include <algorithm>
#include <vector>

#include "core/hash.hpp"
#include "model/checkpoint.hpp"

namespace plumb {
namespace fs = std::filesystem;

std::string hash_of_weights(const fs::path& resolved) {
  if (fs::is_regular_file(resolved)) return sha256_hex_of_file(resolved);
  if (const fs::path single = resolved / "model.safetensors"; fs::exists(single))
    return sha256_hex_of_file(single);
  std::vector<fs::path> shards;
  for (const auto& entry : fs::directory_iterator(resolved)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".safetensors" || extension == ".gguf") shards.push_back(entry.path());
  }
  if (shards.size() == 1) return sha256_hex_of_file(shards.front());
  std::sort(shards.begin(), shards.end());
  Sha256 hash;
  for (const fs::path& shard : shards) hash.update(sha256_hex_of_file(shard));
  return to_hex(hash.finish());
}

}  // namespace plumb
