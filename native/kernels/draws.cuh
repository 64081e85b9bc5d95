#pragma once
#include "device/kernels/mixture.h"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

// Draws from one row of a mixture, by the threads of a row (rows.cuh).
namespace tr0n::cuda {

/// The component at u of the cumulative softmax of logits [components]. Every warp computes the same: weights
/// 32 at a time, a lane each, then sums over them in the CPU's order, in double, so that both choose alike.
__device__ inline unsigned choose_component(const float* logits, unsigned components, double u) {
  const unsigned lane = threadIdx.x % kWarp;
  float largest = logits[0];
  for (unsigned k = lane; k < components; k += kWarp) largest = fmaxf(largest, logits[k]);
  largest = warp_max(largest);
  if (isnan(logits[0])) largest = logits[0];  // then every weight is NaN and 0 is chosen, as on the CPU
  const auto weight = [=](unsigned k) {
    return k < components ? exp(static_cast<double>(logits[k]) - static_cast<double>(largest)) : 0.0;
  };
  const double first_weight = weight(lane);
  double total = 0;
  for (unsigned first = 0; first < components; first += kWarp) {
    const double own = first == 0 ? first_weight : weight(first + lane);
    for (unsigned l = 0; l < kWarp && first + l < components; ++l) total += __shfl_sync(kAllLanes, own, l);
  }
  double left = u * total;
  unsigned last = 0;  // rounding may leave a little after the end: the last component that has any weight
  for (unsigned first = 0; first < components; first += kWarp) {
    const double own = first == 0 ? first_weight : weight(first + lane);
    for (unsigned l = 0; l < kWarp && first + l < components; ++l) {
      const double w = __shfl_sync(kAllLanes, own, l);
      if (w > 0) last = first + l;
      left -= w;
      if (left < 0) return first + l;
    }
  }
  return last;
}

/// σ = e^s + 1e-6, at most FLT_MAX; NaN stays.
__device__ inline float std_value(float log_std) {
  const float std = expf(log_std) + 1e-6f;
  return std > 0x1.fffffep127f ? 0x1.fffffep127f : std;
}

/// z [latent] = μ_k + σ ⊙ ε.
__device__ inline void draw_component(const MixtureView& q, size_t row, unsigned component, const Draw& draw,
                                      bool vector, float* z) {
  const size_t d = q.latent;
  const float* mean = q.means + (row * q.components + component) * d;
  const float* log_stds = q.component_stds ? q.log_stds + component * d : q.log_stds;
  for (size_t at = 4 * threadIdx.x; at < d; at += 4 * blockDim.x) {
    const float4 stds = map4([](float s) { return std_value(s); }, load4(log_stds, at, d, vector));
    store4(z, at, d, vector,
           map4([](float s, float e, float mu) { return multiply_add(s, e, mu); }, stds,
                normals(draw, static_cast<uint32_t>(at / 4)), load4(mean, at, d, vector)));
  }
}

}  // namespace tr0n::cuda
