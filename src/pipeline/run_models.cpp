#include "pipeline/run_models.hpp"

#include "core/error.hpp"
#include "model/checkpoint.hpp"

namespace plumb {
namespace fs = std::filesystem;

RunModels::RunModels(const store::Database& db, fs::path folder, kernels::Precision precision,
                     at::Device device)
    : db_(db), folder_(std::move(folder)), precision_(precision), device_(device) {}

store::CheckpointRow RunModels::row_of(std::int64_t checkpoint_id) const {
  std::optional<store::CheckpointRow> row = store::find_checkpoint(db_, checkpoint_id);
  expects(row.has_value(), "a stored checkpoint");
  return std::move(*row);
}

std::unique_ptr<Decoder> RunModels::load(const store::CheckpointRow& row, bool trainable) const {
  fs::path path = row.path;
  if (path.is_relative() && !fs::exists(path)) path = folder_ / path;
  const std::string hash = hash_of_weights(path);
  if (hash != row.sha256) {
    throw DataError(cat(path.string(), ": its weights changed since they were saved (SHA-256 ",
                        hash.substr(0, 12), "..., expected ", row.sha256.substr(0, 12),
                        "...); restore the folder, or start a new run"));
  }
  const Checkpoint checkpoint = load_checkpoint(path.string());
  return std::make_unique<Decoder>(checkpoint.config, checkpoint.weights, precision_, trainable,
                                   device_);
}

Decoder& RunModels::trainable(std::int64_t checkpoint_id) {
  if (trainable_id_ != checkpoint_id || !trainable_) {
    drop_trainable();
    trainable_ = load(row_of(checkpoint_id), true);
    trainable_id_ = checkpoint_id;
  }
  expects(trainable_.use_count() == 1, "a trainable policy that nobody else holds");
  return *trainable_;
}

void RunModels::drop_trainable() {
  trainable_.reset();
  trainable_id_ = 0;
}

std::shared_ptr<const Decoder> RunModels::frozen(std::int64_t checkpoint_id) {
  if (trainable_ && trainable_id_ == checkpoint_id) return trainable_;
  return separate(checkpoint_id);
}

std::shared_ptr<const Decoder> RunModels::separate(std::int64_t checkpoint_id) {
  const store::CheckpointRow row = row_of(checkpoint_id);
  std::weak_ptr<const Decoder>& known = by_hash_[row.sha256];
  if (std::shared_ptr<const Decoder> model = known.lock()) {
    last_ = model;
  } else {
    last_.reset();
    last_ = load(row, false);
    known = last_;
  }
  return last_;
}

std::shared_ptr<const Decoder> RunModels::loaded(std::int64_t checkpoint_id) const {
  if (trainable_ && trainable_id_ == checkpoint_id) return trainable_;
  const auto known = by_hash_.find(row_of(checkpoint_id).sha256);
  return known == by_hash_.end() ? nullptr : known->second.lock();
}

}  // namespace plumb
