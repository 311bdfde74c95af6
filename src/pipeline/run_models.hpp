#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "model/decoder.hpp"
#include "store/database.hpp"
#include "store/runs.hpp"

namespace plumb {

/// The decoders of a run's checkpoints. The same weights are in memory once, however many ask for
/// them; a model that nobody holds is freed, but for the one used last.
class RunModels {
 public:
  /// @param folder  what relative paths of checkpoints start from
  RunModels(const store::Database& db, std::filesystem::path folder, kernels::Precision precision,
            at::Device device);

  /// The policy of a checkpoint with gradients. One is kept; asking for another one frees it.
  /// Nobody else may hold it: its weights are about to change.
  Decoder& trainable(std::int64_t checkpoint_id);
  /// A model for forward passes only; the trainable one if it holds these weights.
  std::shared_ptr<const Decoder> frozen(std::int64_t checkpoint_id);
  /// The same, but never the trainable one: its weights stay while the policy is trained.
  std::shared_ptr<const Decoder> separate(std::int64_t checkpoint_id);
  /// The same if its weights are in memory, else null.
  std::shared_ptr<const Decoder> loaded(std::int64_t checkpoint_id) const;
  /// Declares that the trainable policy now holds the weights of another checkpoint (0: of none).
  void trainable_is_now(std::int64_t checkpoint_id) { trainable_id_ = checkpoint_id; }
  /// Forgets the trainable policy, so that the next use loads it from its files.
  void drop_trainable();
  /// The trainable policy as it is now, or null.
  const Decoder* trained() const { return trainable_.get(); }

 private:
  store::CheckpointRow row_of(std::int64_t checkpoint_id) const;
  std::unique_ptr<Decoder> load(const store::CheckpointRow& row, bool trainable) const;

  const store::Database& db_;
  std::filesystem::path folder_;
  kernels::Precision precision_;
  at::Device device_;
  std::shared_ptr<Decoder> trainable_;
  std::int64_t trainable_id_ = 0;
  std::shared_ptr<const Decoder> last_;
  std::map<std::string, std::weak_ptr<const Decoder>> by_hash_;  // separate ones, by SHA-256
};

}  // namespace plumb
