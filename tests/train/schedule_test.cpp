#include "train/schedule.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::WithinAbs;

TEST_CASE("schedule: warm-up, then linear or cosine decay to zero", "[train][unit]") {
  TrainOptions options;
  options.learning_rate = 1.0;
  options.warmup_steps = 2;
  // transformers get_linear_schedule_with_warmup(2, 12): step/2 below 2, then (12 - step) / 10.
  options.lr_scheduler_type = "linear";
  CHECK_THAT(learning_rate(options, 0, 12), WithinAbs(0.0, 1e-12));
  CHECK_THAT(learning_rate(options, 1, 12), WithinAbs(0.5, 1e-12));
  CHECK_THAT(learning_rate(options, 2, 12), WithinAbs(1.0, 1e-12));
  CHECK_THAT(learning_rate(options, 7, 12), WithinAbs(0.5, 1e-12));
  CHECK_THAT(learning_rate(options, 12, 12), WithinAbs(0.0, 1e-12));
  // get_cosine_schedule_with_warmup: 0.5 (1 + cos(pi progress)); progress 1/2 at step 7.
  options.lr_scheduler_type = "cosine";
  CHECK_THAT(learning_rate(options, 2, 12), WithinAbs(1.0, 1e-12));
  CHECK_THAT(learning_rate(options, 7, 12), WithinAbs(0.5, 1e-12));
  CHECK_THAT(learning_rate(options, 12, 12), WithinAbs(0.0, 1e-12));
  options.lr_scheduler_type = "constant";
  CHECK_THAT(learning_rate(options, 11, 12), WithinAbs(1.0, 1e-12));
}

TEST_CASE("schedule: a warm-up below one is a share of all steps, rounded up", "[train][unit]") {
  TrainOptions options;
  options.learning_rate = 1.0;
  options.warmup_steps = 0.1;
  options.lr_scheduler_type = "constant";
  CHECK_THAT(learning_rate(options, 1, 12), WithinAbs(0.5, 1e-12));  // ceil(1.2) = 2 steps
  CHECK_THAT(learning_rate(options, 2, 12), WithinAbs(1.0, 1e-12));
}

}  // namespace
}  // namespace plumb
