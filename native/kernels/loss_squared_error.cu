// error_i = Σ_j (prediction − target)²/size in double, gradient = 2·scale·(prediction − target)/size, where
// bound > 0 times bound − prediction²/bound; prediction, target, gradient [n, size]. gradient may be null.
// Moves 3·n·size floats.
#include "kernels/rows.cuh"

namespace tr0n::cuda {

/// `factor` is 2·scale/size.
extern "C" __global__ void __launch_bounds__(512)
    squared_error(size_t n, size_t size, const float* __restrict__ prediction,
                  const float* __restrict__ target, float factor, float bound, double* __restrict__ error,
                  float* __restrict__ gradient) {
  const size_t row = row_of_block();
  const bool active = row < n, vector = vectors_fit(size, prediction, target, gradient);
  double sum = 0;
  if (active)
    for (size_t at = 4 * threadIdx.x; at < size; at += 4 * blockDim.x) {
      const float4 a = load4(prediction + row * size, at, size, vector),
                   b = load4(target + row * size, at, size, vector);
      const auto add = [&sum](float p, float t) {
        const double difference = static_cast<double>(p) - static_cast<double>(t);
        sum += difference * difference;
      };
      add(a.x, b.x), add(a.y, b.y), add(a.z, b.z), add(a.w, b.w);
      if (gradient != nullptr)
        store4(gradient + row * size, at, size, vector,
               map4(
                   [factor, bound](float p, float t) {
                     const float slope = __fmul_rn(factor, __fsub_rn(p, t));
                     if (bound <= 0) return slope;
                     return __fmul_rn(slope, __fsub_rn(bound, __fdiv_rn(__fmul_rn(p, p), bound)));
                   },
                   a, b));
    }
  sum = row_sum(sum);
  if (active && threadIdx.x == 0) error[row] = sum / static_cast<double>(size);
}

}  // namespace tr0n::cuda
