#include "kernels/optimizer_rows.hpp"

#include <cmath>

#include "kernels/vector_clones.hpp"

namespace plumb::kernels::rows {

PLUMB_VECTOR_CLONES void adamw(float* value, const float* gradient, float* first_moment,
                               float* second_moment, std::int64_t size,
                               const AdamWFactors& factors) {
  const AdamWFactors f = factors;
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * f.scale;
    const float m = f.keep1 * first_moment[i] + f.add1 * g;
    const float v = f.keep2 * second_moment[i] + f.add2 * g * g;
    first_moment[i] = m;
    second_moment[i] = v;
    value[i] = value[i] * f.decay - f.rate * m / (std::sqrt(v) * f.root + f.epsilon);
  }
}

PLUMB_VECTOR_CLONES double sum_of_squares(const float* values, std::int64_t size) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < size; ++i) {
    const auto value = static_cast<double>(values[i]);
    sum += value * value;
  }
  return sum;
}

}  // namespace plumb::kernels::rows
