#pragma once
#include <ATen/core/Tensor.h>

/// The functions of elementwise.hpp made of at:: operations: they run on every device, and tests
/// compare with them.
namespace plumb::kernels::portable {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    at::ScalarType output);
at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, at::Tensor& sum,
                        const at::Tensor& weight, double epsilon, at::ScalarType output);
void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                       double epsilon, at::Tensor& dx, at::Tensor dweight);
void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cosine,
          const at::Tensor& sine, std::int64_t heads, bool inverse);
at::Tensor swiglu(const at::Tensor& gate_up);
at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& gate_up);

}  // namespace plumb::kernels::portable
