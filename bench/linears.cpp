// Milliseconds of all linear layers (and the head) of a 135M Llama shape, packed, for several row
// counts.
//
//   plumb_bench_linears [--dtype bfloat16]
#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <malloc.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "kernels/kernels.hpp"

namespace plumb {
namespace {

using kernels::PackedWeight;
using kernels::Precision;

struct Layer {
  PackedWeight qkv, output, gate_up, down;
};

PackedWeight weight(std::int64_t outputs, std::int64_t inputs, Precision precision) {
  return {at::full({outputs, inputs}, 0.01, at::kFloat), precision};
}

/// One pass over the layers; every layer has memory of its own, so weights stream as in a real
/// model.
void pass(const std::vector<Layer>& layers, const PackedWeight* head, std::int64_t rows,
          at::ScalarType type) {
  const at::Tensor hidden = at::full({rows, 576}, 0.5, type),
                   inner = at::full({rows, 1536}, 0.5, type);
  for (const Layer& layer : layers) {
    kernels::linear(hidden, layer.qkv);
    kernels::linear(hidden, layer.output);
    kernels::linear(hidden, layer.gate_up);
    kernels::linear(inner, layer.down);
  }
  if (head != nullptr) kernels::linear(hidden, *head, {}, /*float32_output=*/true);
}

void run(Precision precision) {
  const at::ScalarType type = precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
  std::vector<Layer> layers;
  for (int i = 0; i < 30; ++i) {
    layers.push_back({weight(960, 576, precision), weight(576, 576, precision),
                      weight(3072, 576, precision), weight(576, 1536, precision)});
  }
  const PackedWeight head = weight(49152, 576, precision);
  for (const std::int64_t rows : {1, 4, 16, 32, 64, 512}) {
    const bool with_head = rows <= 64;
    const double parameters =
        30.0 * (960 + 576 + 3072 + 1536) * 576 + (with_head ? 49152.0 * 576 : 0);
    std::vector<double> seconds;
    for (int round = 0; round < 12; ++round) {
      const double start = monotonic_seconds();
      pass(layers, with_head ? &head : nullptr, rows, type);
      if (round >= 2) seconds.push_back(monotonic_seconds() - start);
    }
    std::sort(seconds.begin(), seconds.end());
    const double median = seconds[seconds.size() / 2];
    const nlohmann::json line = {
        {"bench", "linears"},
        {"instruction_set", kernels::instruction_set(precision)},
        {"threads", at::get_num_threads()},
        {"rows", rows},
        {"head", with_head},
        {"ms_best", seconds.front() * 1e3},
        {"ms_median", median * 1e3},
        {"gflops_best", 2.0 * static_cast<double>(rows) * parameters / seconds.front() / 1e9}};
    std::cout << line.dump() << std::endl;
  }
}

}  // namespace
}  // namespace plumb

int main(int argc, char** argv) {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 2147483647);
  const bool full = argc == 3 && std::string(argv[2]) == "float32";
  plumb::run(full ? plumb::kernels::Precision::kFloat32 : plumb::kernels::Precision::kBFloat16);
  return 0;
}
