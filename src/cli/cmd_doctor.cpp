#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/Version.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <iostream>

#include "cli/command.hpp"
#include "cli/thread_waiting.hpp"
#include "kernels/kernels.hpp"
#include "pipeline/version.hpp"
#include "store/database.hpp"

namespace plumb::cli {
namespace {

/// Largest difference of our linear layer from libtorch's on random numbers, relative to the
/// largest value.
double linear_error(kernels::Precision precision) {
  const at::Tensor x = at::randn({17, 192}), weight = at::randn({96, 192});
  const bool half = precision == kernels::Precision::kBFloat16;
  const at::Tensor ours = kernels::linear(half ? x.to(at::kBFloat16) : x,
                                          kernels::PackedWeight(weight, precision), {}, true);
  const at::Tensor exact =
      at::matmul((half ? x.to(at::kBFloat16) : x).to(at::kDouble),
                 (half ? weight.to(at::kBFloat16) : weight).to(at::kDouble).t());
  return ((ours.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

bool report(const std::string& name, bool good, const std::string& detail) {
  std::cout << (good ? "ok    " : "BAD   ") << name << ": " << detail << "\n";
  return good;
}

}  // namespace

int doctor_command(const Arguments& arguments) {
  if (!arguments.empty()) throw_unexpected(arguments.front());
  namespace fs = std::filesystem;
  std::cout << "plumb " << kVersion << ", database schema " << store::Database::newest_schema()
            << "\n"
            << "threads " << at::get_num_threads() << " (waiting: " << thread_waiting()
            << "), CUDA " << (at::globalContext().hasCUDA() ? "yes" : "no") << "\n"
            << "kernels bfloat16: " << kernels::instruction_set(kernels::Precision::kBFloat16)
            << ", float32: " << kernels::instruction_set(kernels::Precision::kFloat32) << "\n";
  struct statvfs disk {};
  if (statvfs(".", &disk) == 0)
    std::cout << "free disk " << disk.f_bavail * disk.f_frsize / 1000000000 << " GB\n";
  bool good = true;
  for (const auto precision : {kernels::Precision::kFloat32, kernels::Precision::kBFloat16}) {
    const double error = linear_error(precision);
    good &=
        report(precision == kernels::Precision::kFloat32 ? "float32 products" : "bfloat16 products",
               error < 1e-5, "relative error " + std::to_string(error));
  }
  for (const char* folder : {"models/smollm2-135m-instruct", "models/all-minilm-l6-v2"}) {
    report(folder, fs::exists(folder),
           fs::exists(folder) ? "found" : "missing; scripts/setup fetches it");
  }
  return good ? 0 : 70;
}

}  // namespace plumb::cli
