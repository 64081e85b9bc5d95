// One step of momentum SGD with noise on n chains [n, d], in one launch:
//   g ← g·min(1, clip / (‖g‖ + 1e-6)),  b ← momentum·b + g (b ← g where `first`),
//   z ← z − learning_rate·b + noise·ε,  clamped to ±bound (0 = off); ε from Philox block `first_block` on
// ‖g‖ per chain in double; the rest in float, each operation rounded as on the CPU. ε by
// Purpose::langevin_noise. Moves 5·n·d floats. A chain's gradients are read twice where it has more than four
// elements a thread.
#include "kernels/adam.cuh"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

struct Step {
  float learning_rate, momentum, noise, bound;
};

__device__ float moved(const Step& step, float z, float b, float epsilon) {
  float x = __fsub_rn(z, __fmul_rn(step.learning_rate, b));
  if (step.noise > 0) x = multiply_add(step.noise, epsilon, x);
  if (step.bound > 0) x = x > step.bound ? step.bound : x < -step.bound ? -step.bound : x;  // NaN stays
  return x;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(512)
    langevin_update(size_t n, size_t d, const Chain* __restrict__ chains, uint32_t step, uint32_t first_block,
                    uint2 key, int first, float learning_rate, float momentum, float noise, double clip,
                    float bound, const float* __restrict__ gradients, float* __restrict__ momenta,
                    float* __restrict__ z) {
  const size_t row = row_of_block(), start = 4 * threadIdx.x;
  const bool active = row < n, vector = vectors_fit(d, gradients, momenta, z);
  const Step settings{learning_rate, momentum, noise, bound};
  const float* gradient = gradients + row * d;
  float4 kept = make_float4(0, 0, 0, 0);
  if (active && start < d) kept = load4(gradient, start, d, vector);
  float scale = 1;
  if (clip > 0) {
    double square = square_sum(kept);
    if (active)
      for (size_t at = start + 4 * blockDim.x; at < d; at += 4 * blockDim.x)
        square += square_sum(load4(gradient, at, d, vector));
    scale = static_cast<float>(clip_factor(sqrt(row_sum(square)), clip));
  }
  if (!active) return;
  const Draw draw(key, chains[row], step, Purpose::langevin_noise);
  for (size_t at = start; at < d; at += 4 * blockDim.x) {
    const float4 g = at == start ? kept : load4(gradient, at, d, vector);
    float4 b = first != 0 ? make_float4(0, 0, 0, 0) : load4(momenta + row * d, at, d, vector);
    const float4 x = load4(z + row * d, at, d, vector);
    float4 epsilon = make_float4(0, 0, 0, 0);
    if (noise > 0) epsilon = normals(draw, first_block + static_cast<uint32_t>(at / 4));
    b = map4(
        [=](float old, float fresh) {
          return __fadd_rn(first != 0 ? 0.0f : __fmul_rn(momentum, old), __fmul_rn(scale, fresh));
        },
        b, g);
    store4(momenta + row * d, at, d, vector, b);
    store4(z + row * d, at, d, vector,
           map4([settings](float p, float q, float e) { return moved(settings, p, q, e); }, x, b, epsilon));
  }
}

}  // namespace tr0n::cuda
