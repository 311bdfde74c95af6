#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "pipeline/degrade.hpp"
#include "pipeline/guides.hpp"
#include "pipeline/pairing.hpp"
#include "pipeline/prompt_filter.hpp"
#include "rollout/engine.hpp"
#include "rollout/sampling.hpp"
#include "train/train_options.hpp"

namespace plumb {

struct RunOptions {
  std::string name = "run";
  std::string dir = "";
  std::int64_t seed = 42;
  std::int64_t iterations = 2;
  std::string reference = "start_of_iteration";
  std::string device = "auto";
  std::string dtype = "auto";
  std::int64_t threads = 0;

  static void describe(auto& self, auto&& field) {
    field("name", self.name, "name of the run");
    field("dir", self.dir, "folder of the run; empty: runs/<name>");
    field("seed", self.seed, Range{0, 9e15}, "seed of every random choice");
    field("iterations", self.iterations, Range{0, 1e6},
          "rounds of sample, score, pair, train, evaluate; may be raised later");
    field("reference", self.reference,
          "reference policy of the loss: start_of_iteration, initial, or a model");
    field("device", self.device, Choices{{"auto", "cpu", "cuda"}}, "where models run");
    field("dtype", self.dtype, Choices{{"auto", "float32", "bfloat16"}},
          "type of matrix products; auto: bfloat16 where the processor has it");
    field("threads", self.threads, Range{0, 4096}, "compute threads; 0 = all cores");
  }
};

struct ModelOptions {
  std::string path = "";
  std::string chat_template = "auto";
  std::string system_prompt = "";

  static void describe(auto& self, auto&& field) {
    field("path", self.path,
          "policy to start from: Hugging Face folder, .gguf file, or a hub id in the local cache");
    field("chat_template", self.chat_template,
          "chat format, see `plumb list templates`; auto: the model's own");
    field("system_prompt", self.system_prompt,
          "system message put before each prompt that has none; empty: the format's default");
  }
};

struct DataOptions {
  std::vector<std::string> prompts;
  std::vector<std::string> pairs;
  std::vector<std::string> heldout_prompts;
  std::vector<std::string> references;
  std::int64_t heldout = 0;
  std::int64_t prompts_per_iteration = 0;
  std::int64_t max_prompt_length = 0;
  std::string truncation = "error";
  std::string bad_rows = "error";

  static void describe(auto& self, auto&& field) {
    field("prompts", self.prompts, "prompt files (JSONL)");
    field("pairs", self.pairs,
          "preference files (JSONL with prompt, chosen, rejected) to train on, in place of "
          "data.prompts: nothing is sampled for training");
    field("heldout_prompts", self.heldout_prompts, "prompt files for evaluation only");
    field("references", self.references,
          "files of prompts with answers (JSONL): reference answers of the prompts above that give "
          "none themselves");
    field("heldout", self.heldout, Range{0, 1e9},
          "prompts taken out of data.prompts for evaluation, in proportion to their kinds; of "
          "data.pairs, with all pairs of a prompt");
    field("prompts_per_iteration", self.prompts_per_iteration, Range{0, 1e9},
          "fresh prompts of an iteration, from the start again when used up; 0: all, split evenly "
          "over the iterations");
    field("max_prompt_length", self.max_prompt_length, Range{0, 1e9},
          "longest prompt in tokens; 0: what the model's context leaves");
    field("truncation", self.truncation, Choices{{"error", "drop"}},
          "what to do with a longer prompt or pair: stop, or leave it out and say so");
    field("bad_rows", self.bad_rows, Choices{{"error", "skip"}},
          "what to do with unreadable rows of a prompt or pair file: stop, or store the reason and "
          "go on");
  }
};

/// The supervised stage before iteration 1. What is not here is as in section `train`.
struct SftStageOptions {
  std::vector<std::string> data;
  double learning_rate = 5e-6;
  std::string lr_scheduler_type = "cosine";
  double warmup_steps = 0.1;
  std::int64_t num_train_epochs = 1;
  std::int64_t max_steps = -1;
  std::int64_t batch_size = 8;

  static void describe(auto& self, auto&& field) {
    field("data", self.data,
          "files of prompts with answers (JSONL) that the model learns before the first iteration; "
          "empty: no such stage");
    field("learning_rate", self.learning_rate, Range{0, 1}, "peak learning rate");
    field("lr_scheduler_type", self.lr_scheduler_type, Choices{{"constant", "linear", "cosine"}},
          "course of the learning rate after warm-up");
    field("warmup_steps", self.warmup_steps, Range{0, 1e9},
          "steps of linear warm-up; below 1: share of all steps");
    field("num_train_epochs", self.num_train_epochs, Range{1, 1e6}, "passes over the rows");
    field("max_steps", self.max_steps, Range{-1, 1e9},
          "optimizer steps; -1: as many as the epochs give");
    field("batch_size", self.batch_size, Range{1, 1e6}, "rows of one optimizer step");
  }
};

struct RolloutOptions {
  std::int64_t samples_per_prompt = 4;
  std::int64_t unit_prompts = 16;

  static void describe(auto& self, auto&& field) {
    field("samples_per_prompt", self.samples_per_prompt, Range{1, 1e6},
          "responses sampled for each prompt (K)");
    field("unit_prompts", self.unit_prompts, Range{1, 1e6},
          "prompts whose responses are committed together");
  }
};

struct ScoreOptions {
  std::vector<std::string> modules{"r3"};
  std::string primary = "";
  std::vector<std::string> train_modules;
  std::int64_t unit = 64;

  static void describe(auto& self, auto&& field) {
    field(
        "modules", self.modules,
        "reward modules that score every response, see `plumb list rewards`; with data.pairs none "
        "unless this is set");
    field("primary", self.primary, "module that pairs and evaluation go by; empty: the first");
    field("train_modules", self.train_modules,
          "those of score.modules that score the training responses only, not evaluations");
    field("unit", self.unit, Range{1, 1e6}, "responses scored and committed together");
  }
};

struct EvalOptions {
  std::int64_t samples = 4;
  std::string when = "all";
  double cool_temperature = 0.8;
  double cool_top_p = 0.95;
  std::int64_t bootstrap = 10000;

  static void describe(auto& self, auto&& field) {
    field("samples", self.samples, Range{0, 1e6},
          "responses for each held-out prompt; 0: none, only held-out pairs are evaluated");
    field("when", self.when, Choices{{"all", "last"}},
          "evaluate every iteration's policy, or only the last one's; the initial policy always");
    field("cool_temperature", self.cool_temperature, Range{0, 100},
          "a second evaluation at this temperature shows what is mere sharpening; 0 = off");
    field("cool_top_p", self.cool_top_p, Range{0, 1}, "top_p of the second evaluation");
    field("bootstrap", self.bootstrap, Range{0, 1e7}, "resamples for the 95 % intervals");
  }
};

/// Every option of a run, in the order of the loop.
std::vector<Option> run_option_table();

/// All sections of a run, read once.
struct RunConfig {
  RunOptions run;
  ModelOptions model;
  DataOptions data;
  SftStageOptions sft;
  RolloutOptions rollout;
  RolloutEngine::Options engine;
  SamplingOptions sampling;
  ScoreOptions score;
  FilterOptions filter;
  PairOptions pair;
  DegradeOptions degrade;
  std::string loss;  // name
  TrainOptions train;
  EvalOptions eval;
  RunGuideOptions guide;
  OptionValues values;  // for the sections that losses and rewards declare themselves

  /// Reads and cross-checks the sections. Throws UsageError.
  static RunConfig from(const OptionValues& values);
  /// Training pairs come from files.
  bool imports_pairs() const { return !data.pairs.empty(); }
  /// Module that pairs and sampled evaluations go by. Only if there are modules.
  std::string primary_module() const {
    return score.primary.empty() ? score.modules.front() : score.primary;
  }
  /// Modules that pairs go by.
  std::vector<std::string> deciding_modules() const {
    if (imports_pairs()) return {};
    return pair.module.empty() ? std::vector{primary_module()} : pair.module;
  }
};

}  // namespace plumb
