#include "kernels/gradient.hpp"

#include <ATen/ops/mm.h>

#include "core/error.hpp"

namespace plumb::kernels {

void accumulate_weight_gradient(at::Tensor gradient, const at::Tensor& dy, const at::Tensor& x,
                                Precision, Implementation) {
  expects(gradient.scalar_type() == at::kFloat && gradient.size(0) == dy.size(1) &&
              gradient.size(1) == x.size(1) && dy.size(0) == x.size(0),
          "a float32 gradient [N, K] for dy [M, N] and x [M, K]");
  gradient.addmm_(dy.t().to(at::kFloat), x.to(at::kFloat));
}

}  // namespace plumb::kernels
