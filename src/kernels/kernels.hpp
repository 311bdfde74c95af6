#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

/// The hot paths of the decoder behind plain functions: a portable implementation made of at::
/// operations, and packed AVX-512 ones chosen at run time. Every function gives each row the same
/// bits whatever other rows are in the batch.
namespace plumb::kernels {

enum class Precision { kFloat32, kBFloat16 };
/// kPortable: at:: operations only (what runs on CUDA, and what tests compare with).
enum class Implementation { kBest, kPortable };

/// "avx512_bf16", "avx512", "portable": what linear() will use for the precision on this machine.
std::string instruction_set(Precision precision);
/// True if bfloat16 matrix products run natively here; otherwise models run in float32.
bool has_native_bfloat16();

/// A weight matrix laid out for x * weight^T. Holds its own copy; packing costs about one pass over
/// the weight.
class PackedWeight {
 public:
  PackedWeight();
  /// @param weight [N, K] float32 or bfloat16, contiguous
  PackedWeight(const at::Tensor& weight, Precision precision,
               Implementation implementation = Implementation::kBest);
  /// The transpose of `weight` without forming it: linear() then computes y = x * weight.
  /// @param weight [K, N], so that x is [M, K]
  static PackedWeight transposed(const at::Tensor& weight, Precision precision,
                                 Implementation implementation = Implementation::kBest);
  ~PackedWeight();
  PackedWeight(PackedWeight&&) noexcept;
  PackedWeight& operator=(PackedWeight&&) noexcept;

  /// Packs new values of the same shape into the memory already held.
  void repack(const at::Tensor& weight);

  /// The packed values as a float32 [N, K] matrix (rounded to bfloat16 if packed so).
  at::Tensor unpacked() const;

  std::int64_t outputs() const;  // N
  std::int64_t inputs() const;   // K
  struct Storage;
  const Storage& storage() const { return *storage_; }

 private:
  explicit PackedWeight(std::unique_ptr<Storage> storage);
  std::unique_ptr<Storage> storage_;
};

/// y = x * weight^T (+ bias), float32 accumulation in a fixed order, rounded once to the output
/// type.
/// @param x [M, K] float32, or bfloat16 for bfloat16 weights (float32 is then rounded to bfloat16
/// first); rows may be strided
/// @param bias [N] or undefined
/// @param float32_output  true: y is float32 (logits); false: y has the dtype of x
/// @return [M, N]
at::Tensor linear(const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias = {},
                  bool float32_output = false);

/// Some outputs of linear(x, weight) in float32, with the bits linear() gives them.
/// @param first a multiple of 32   @return [M, count]
at::Tensor linear_outputs(const at::Tensor& x, const PackedWeight& weight, std::int64_t first,
                          std::int64_t count);

/// y += x * (inputs first .. of the weight)^T: a long sum in pieces.
/// @param y [M, N] float32, contiguous   @param x [M, count]   @param first even
void add_linear_inputs(at::Tensor& y, const at::Tensor& x, const PackedWeight& weight,
                       std::int64_t first);

}  // namespace plumb::kernels
