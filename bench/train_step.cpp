// Speed of DPO training steps on token ids: {"prompt":[ids],"chosen":[ids],"rejected":[ids]} a
// line.
//
//   plumb_bench_train --model models/smollm2-135m-instruct --data T1.jsonl [--pairs 8] [--micro 4]
//   [--steps 6] [--dtype bfloat16]
//
// Every step takes `pairs` lines (again from the start at the end of the file), in micro-batches of
// `micro` pairs whose prompt is computed once, and ends with AdamW. Reference log-probs are taken
// before the first step, as a run would store them. The first step warms up and is not counted.
// Prints one JSON line; loss and gradient norm are those of the last step.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/zeros_like.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "kernels/adamw.hpp"
#include "model/checkpoint.hpp"
#include "model/decoder.hpp"

namespace plumb {
namespace {

struct Pair {
  std::vector<std::int32_t> prompt, chosen, rejected;
};

struct Options {
  std::string model, data, dtype = "bfloat16";
  std::size_t pairs = 8, micro = 4, steps = 6;
  double learning_rate = 1e-6;
};

Options read_options(int argc, char** argv) {
  Options options;
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const auto number = [&](const char* name, std::size_t& value) {
    if (given.contains(name)) value = std::stoul(given.at(name));
  };
  if (!given.contains("--model") || !given.contains("--data")) {
    throw UsageError("--model and --data are needed");
  }
  options.model = given.at("--model");
  options.data = given.at("--data");
  if (given.contains("--dtype")) options.dtype = given.at("--dtype");
  if (given.contains("--lr")) options.learning_rate = std::stod(given.at("--lr"));
  number("--pairs", options.pairs);
  number("--micro", options.micro);
  number("--steps", options.steps);
  return options;
}

std::vector<Pair> read_pairs(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw DataError("cannot read " + file);
  std::vector<Pair> pairs;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line);
    pairs.push_back({json.at("prompt"), json.at("chosen"), json.at("rejected")});
  }
  return pairs;
}

struct MicroBatch {
  RaggedBatch batch;
  TokenRows rows;
};

MicroBatch make_micro(const std::vector<Pair>& pairs, std::size_t first, std::size_t count) {
  RaggedBuilder builder;
  for (std::size_t i = 0; i < count; ++i) {
    const Pair& pair = pairs[(first + i) % pairs.size()];
    const std::int64_t prompt = builder.add(pair.prompt);
    builder.want_logprobs(builder.add(pair.chosen, prompt));
    builder.want_logprobs(builder.add(pair.rejected, prompt));
  }
  return {builder.batch(), builder.rows()};
}

/// Seconds spent in each part of the steps.
struct Timing {
  double forward = 0, backward = 0, optimizer = 0, refresh = 0;
};

template <class Body>
void timed(double& total, const Body& body) {
  const double start = monotonic_seconds();
  body();
  total += monotonic_seconds() - start;
}

class Trainer {
 public:
  Trainer(Decoder& model, const Options& options, std::vector<Pair> pairs)
      : model_(model), options_(options), pairs_(std::move(pairs)) {
    for (const NamedParameter& parameter : model_.parameters()) {
      first_.push_back(at::zeros_like(parameter.value));
      second_.push_back(at::zeros_like(parameter.value));
    }
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const MicroBatch micro = make_micro(pairs_, i, 1);
      reference_.push_back(
          segment_sum(model_.token_stats(micro.batch, micro.rows).logprobs, micro.rows.offsets));
    }
  }

  void step(Timing& timing) {
    loss_ = 0.0;
    for (std::size_t done = 0; done < options_.pairs; done += options_.micro) {
      run_micro(std::min(options_.micro, options_.pairs - done), timing);
    }
    timed(timing.optimizer, [&] { update(); });
    timed(timing.refresh, [&] { model_.refresh(); });
  }

  double loss() const { return loss_; }
  double gradient_norm() const { return norm_; }
  std::int64_t tokens() const { return tokens_; }

 private:
  void run_micro(std::size_t count, Timing& timing) {
    const MicroBatch micro = make_micro(pairs_, next_, count);
    std::vector<at::Tensor> reference;
    for (std::size_t i = 0; i < count; ++i) {
      reference.push_back(reference_[(next_ + i) % pairs_.size()]);
    }
    next_ += count;
    tokens_ += micro.batch.tokens();
    at::Tensor loss;
    timed(timing.forward, [&] {
      const TokenStats stats = model_.token_stats(micro.batch, micro.rows);
      const at::Tensor ratio =
          (segment_sum(stats.logprobs, micro.rows.offsets) - at::cat(reference)).view({-1, 2});
      loss = -at::log_sigmoid(0.1 * (ratio.select(1, 0) - ratio.select(1, 1))).sum() /
             static_cast<double>(options_.pairs);
    });
    loss_ += loss.item<double>();
    timed(timing.backward, [&] { loss.backward(); });
  }

  void update() {
    double squares = 0.0;
    for (const NamedParameter& p : model_.parameters())
      squares += kernels::squared_norm(p.gradient);
    norm_ = std::sqrt(squares);
    kernels::AdamWStep settings{.learning_rate = options_.learning_rate};
    settings.step = ++updates_;
    settings.gradient_scale = std::min(1.0, 1.0 / (norm_ + 1e-6));
    for (std::size_t i = 0; i < first_.size(); ++i) {
      NamedParameter& p = model_.parameters()[i];
      kernels::adamw(p.value, p.gradient, first_[i], second_[i], settings);
    }
    model_.zero_gradients();
  }

  Decoder& model_;
  const Options& options_;
  std::vector<Pair> pairs_;
  std::vector<at::Tensor> first_, second_, reference_;
  std::size_t next_ = 0;
  std::int64_t updates_ = 0, tokens_ = 0;
  double loss_ = 0.0, norm_ = 0.0;
};

void run(const Options& options) {
  auto checkpoint = load_checkpoint(options.model);
  const auto precision =
      options.dtype == "float32" ? kernels::Precision::kFloat32 : kernels::Precision::kBFloat16;
  Decoder model(checkpoint.config, checkpoint.weights, precision, /*trainable=*/true);
  checkpoint.weights.clear();
  Trainer trainer(model, options, read_pairs(options.data));
  std::vector<double> seconds;
  Timing timing;
  std::int64_t warm_tokens = 0;
  for (std::size_t i = 0; i <= options.steps; ++i) {
    Timing warm;
    const double start = monotonic_seconds();
    trainer.step(i == 0 ? warm : timing);
    if (i == 0) {
      warm_tokens = trainer.tokens();
    } else {
      seconds.push_back(monotonic_seconds() - start);
    }
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2], steps = static_cast<double>(options.steps);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const nlohmann::json line = {
      {"bench", "train_step"},
      {"dtype", model.precision() == kernels::Precision::kBFloat16 ? "bfloat16" : "float32"},
      {"instruction_set", kernels::instruction_set(model.precision())},
      {"threads", at::get_num_threads()},
      {"pairs", options.pairs},
      {"micro", options.micro},
      {"steps", options.steps},
      {"step_s_min", seconds.front()},
      {"step_s_median", median},
      {"step_s_max", seconds.back()},
      {"pairs_s", static_cast<double>(options.pairs) / median},
      {"rows_s", static_cast<double>(trainer.tokens() - warm_tokens) / steps / median},
      {"forward_s", timing.forward / steps},
      {"backward_s", timing.backward / steps},
      {"optimizer_s", timing.optimizer / steps},
      {"refresh_s", timing.refresh / steps},
      {"loss", trainer.loss()},
      {"gradient_norm", trainer.gradient_norm()},
      {"peak_rss_mib", static_cast<double>(usage.ru_maxrss) / 1024.0}};
  std::cout << line.dump() << std::endl;
}

}  // namespace
}  // namespace plumb

int main(int argc, char** argv) {
  // Freed memory stays with the process: a fresh page costs more than most of what is done with it.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 2147483647);
  mallopt(M_TOP_PAD, 64 << 20);
  try {
    plumb::run(plumb::read_options(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "plumb_bench_train: " << error.what() << '\n';
    return 2;
  }
}
