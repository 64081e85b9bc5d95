// Adam on n independent rows [n, size], each clipped by its own gradient norm (in double, as on the CPU):
//   scale = clip / (‖g‖ + 1e-6), at most 1;  Adam (adam.cuh) on scale·g
// Moves 7·n·size floats: gradients read; moments and x read and written. A row's gradients are read twice
// where it has more than four elements a thread.
#include "kernels/adam.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {

extern "C" __global__ void __launch_bounds__(512)
    adam_rows(AdamStep step, size_t n, size_t size, const float* __restrict__ gradients,
              float* __restrict__ m, float* __restrict__ v, float* __restrict__ x) {
  __shared__ AdamFactors shared_factors;
  if (threadIdx.x == 0 && threadIdx.y == 0) shared_factors = AdamFactors(step);
  __syncthreads();
  const size_t row = row_of_block(), start = 4 * threadIdx.x;
  const bool active = row < n, vector = vectors_fit(size, gradients, m, v, x);
  const float* g = gradients + row * size;
  float4 kept = make_float4(0, 0, 0, 0);
  if (active && start < size) kept = load4(g, start, size, vector);
  double square = square_sum(kept);
  float scale = 1;
  if (step.clip > 0) {
    if (active)
      for (size_t at = start + 4 * blockDim.x; at < size; at += 4 * blockDim.x)
        square += square_sum(load4(g, at, size, vector));
    scale = static_cast<float>(clip_factor(sqrt(row_sum(square)), step.clip));
  }
  if (!active) return;
  const AdamFactors factors = shared_factors;
  for (size_t at = start; at < size; at += 4 * blockDim.x) {
    const float4 gradient = at == start ? kept : load4(g, at, size, vector);
    float4 first = load4(m + row * size, at, size, vector), second = load4(v + row * size, at, size, vector),
           values = load4(x + row * size, at, size, vector);
    factors.apply(map4([scale](float value) { return __fmul_rn(scale, value); }, gradient), first, second,
                  values);
    store4(m + row * size, at, size, vector, first);
    store4(v + row * size, at, size, vector, second);
    store4(x + row * size, at, size, vector, values);
  }
}

}  // namespace tr0n::cuda
