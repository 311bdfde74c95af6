#pragma once
#include <cstdint>
#include <string>

#include "core/options.hpp"

namespace plumb {

/// How pairs become updates. Names and meanings follow TRL / transformers.
struct TrainOptions {
  double learning_rate = 1e-6;
  std::string lr_scheduler_type = "cosine";
  double warmup_steps = 0.1;
  std::int64_t num_train_epochs = 1;
  std::int64_t max_steps = -1;
  std::int64_t batch_size = 8;
  std::int64_t micro_batch_tokens = 2048;
  std::int64_t max_length = 2048;
  double max_grad_norm = 1.0;
  double weight_decay = 0.0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  std::int64_t save_steps = 50;
  std::string save_dtype = "float32";

  static void describe(auto& self, auto&& field) {
    field("learning_rate", self.learning_rate, Range{0, 1}, "peak learning rate");
    field("lr_scheduler_type", self.lr_scheduler_type, Choices{{"constant", "linear", "cosine"}},
          "course of the learning rate after warm-up; linear and cosine end at 0");
    field("warmup_steps", self.warmup_steps, Range{0, 1e9},
          "steps of linear warm-up; below 1: share of all steps");
    field("num_train_epochs", self.num_train_epochs, Range{1, 1e6},
          "passes over an iteration's pairs");
    field("max_steps", self.max_steps, Range{-1, 1e9},
          "optimizer steps of an iteration; -1: as many as the epochs give");
    field("batch_size", self.batch_size, Range{1, 1e6}, "pairs of one optimizer step");
    field("micro_batch_tokens", self.micro_batch_tokens, Range{1, 1e9},
          "tokens of one forward and backward pass (a pair that is longer runs alone)");
    field("max_length", self.max_length, Range{2, 1e9},
          "longest prompt with response, in tokens; a longer pair is dropped and counted");
    field("max_grad_norm", self.max_grad_norm, Range{0, 1e9},
          "gradient norm is clipped to this; 0 = off");
    field("weight_decay", self.weight_decay, Range{0, 1}, "decoupled weight decay of AdamW");
    field("adam_beta1", self.adam_beta1, Range{0, 0.999999}, "decay of the first moment");
    field("adam_beta2", self.adam_beta2, Range{0, 0.9999999}, "decay of the second moment");
    field("adam_epsilon", self.adam_epsilon, Range{1e-20, 1},
          "added to the root of the second moment");
    field("save_steps", self.save_steps, Range{0, 1e9},
          "optimizer steps between training states from which a killed run goes on; 0 = none");
    field("save_dtype", self.save_dtype, Choices{{"float32", "bfloat16"}},
          "type of the weights of saved policies");
  }
};

}  // namespace plumb
