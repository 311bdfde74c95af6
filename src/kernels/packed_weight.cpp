#include "kernels/packed_weight.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "core/error.hpp"
#include "kernels/packing.hpp"

namespace plumb::kernels {
namespace {

/// Panels a thread packs at least; one panel of a 576-wide weight is about 20 microseconds of work.
constexpr std::int64_t kPanelGrain = 4;

bool runs_packed(Precision precision) {
  return precision == Precision::kBFloat16 ? cpu_has_avx512_bf16() : cpu_has_avx512();
}

void check_weight(const at::Tensor& weight) {
  expects(weight.defined() && weight.dim() == 2 && weight.numel() > 0 && weight.is_contiguous(),
          "a contiguous, non-empty weight matrix");
  expects(weight.scalar_type() == at::kFloat || weight.scalar_type() == at::kBFloat16,
          "a weight of float32 or bfloat16");
}

void fill(PackedWeight::Storage& storage, const at::Tensor& weight) {
  if (!storage.packed()) {
    const auto type = storage.precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
    at::Tensor rows = weight.to(type, /*non_blocking=*/false, /*copy=*/true);
    storage.plain = storage.transposed ? rows.t() : rows;
    return;
  }
  const Element target = packed_element(storage.precision);
  const at::Tensor source = target == Element::kFloat32 ? weight.to(at::kFloat) : weight;
  const MatrixView view{source.const_data_ptr(), element_of(source), source.size(0), source.size(1),
                        source.size(1)};
  auto* panels = reinterpret_cast<std::byte*>(storage.panels.data_ptr<std::uint8_t>());
  at::parallel_for(0, storage.panels.size(0), kPanelGrain,
                   [&](std::int64_t first, std::int64_t last) {
                     if (storage.transposed) {
                       pack_columns(view, target, kPanel, panels, first, last);
                     } else {
                       pack_rows(view, target, panels, first, last);
                     }
                   });
}

std::unique_ptr<PackedWeight::Storage> make_storage(const at::Tensor& weight, Precision precision,
                                                    Implementation implementation,
                                                    bool transposed) {
  check_weight(weight);
  auto storage = std::make_unique<PackedWeight::Storage>();
  storage->outputs = weight.size(transposed ? 1 : 0);
  storage->inputs = weight.size(transposed ? 0 : 1);
  storage->precision = precision;
  storage->transposed = transposed;
  if (implementation == Implementation::kBest && weight.is_cpu() && runs_packed(precision)) {
    storage->panels = at::empty({(storage->outputs + kPanel - 1) / kPanel,
                                 steps_of(storage->inputs, packed_element(precision)), kPanelStep},
                                at::kByte);
  }
  fill(*storage, weight);
  return storage;
}

}  // namespace

PackedWeight::PackedWeight() = default;
PackedWeight::~PackedWeight() = default;
PackedWeight::PackedWeight(PackedWeight&&) noexcept = default;
PackedWeight& PackedWeight::operator=(PackedWeight&&) noexcept = default;
PackedWeight::PackedWeight(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {}

PackedWeight::PackedWeight(const at::Tensor& weight, Precision precision,
                           Implementation implementation)
    : storage_(make_storage(weight, precision, implementation, /*transposed=*/false)) {}

PackedWeight PackedWeight::transposed(const at::Tensor& weight, Precision precision,
                                      Implementation implementation) {
  return PackedWeight(make_storage(weight, precision, implementation, /*transposed=*/true));
}

void PackedWeight::repack(const at::Tensor& weight) {
  check_weight(weight);
  expects(storage_ != nullptr, "a weight packed before");
  expects(weight.size(storage_->transposed ? 1 : 0) == storage_->outputs &&
              weight.size(storage_->transposed ? 0 : 1) == storage_->inputs,
          "a weight of the shape packed before");
  fill(*storage_, weight);
}

at::Tensor PackedWeight::unpacked() const {
  if (!storage_->packed()) return storage_->plain.to(at::kFloat).contiguous();
  const bool half = storage_->precision == Precision::kBFloat16;
  const std::int64_t panels = storage_->panels.size(0), steps = storage_->steps();
  return storage_->panels.view(half ? at::kBFloat16 : at::kFloat)
      .view({panels, steps, kPanel, -1})
      .permute({0, 2, 1, 3})
      .reshape({panels * kPanel, -1})
      .narrow(0, 0, storage_->outputs)
      .narrow(1, 0, storage_->inputs)
      .to(at::kFloat)
      .contiguous();
}

std::int64_t PackedWeight::outputs() const { return storage_ ? storage_->outputs : 0; }
std::int64_t PackedWeight::inputs() const { return storage_ ? storage_->inputs : 0; }

}  // namespace plumb::kernels
