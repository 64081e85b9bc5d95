// z' = z − h·D + √(2h)·ξ with h = exp(log_step) per chain, ξ by Purpose::proposal; z, D (drift), z' [n, d].
// In float: acceptance is computed from the proposal as it was rounded. Moves 3·n·d floats.
#include "device/kernels/mala.h"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {

extern "C" __global__ void __launch_bounds__(512)
    mala_propose(size_t n, size_t d, const MalaState* __restrict__ states, const Chain* __restrict__ chains,
                 uint32_t step, uint2 key, const float* __restrict__ z, const float* __restrict__ drift,
                 float* __restrict__ proposal) {
  const size_t row = row_of_block();
  if (row >= n) return;
  const bool vector = vectors_fit(d, z, drift, proposal);
  const double size = exp(states[row].log_step);
  const float h = static_cast<float>(size), noise = static_cast<float>(sqrt(2 * size));
  const Draw draw(key, chains[row], step, Purpose::proposal);
  for (size_t at = 4 * threadIdx.x; at < d; at += 4 * blockDim.x) {
    const float4 xi = normals(draw, static_cast<uint32_t>(at / 4));
    store4(proposal + row * d, at, d, vector,
           map4([=](float x, float D, float e) { return fmaf(noise, e, fmaf(-h, D, x)); },
                load4(z + row * d, at, d, vector), load4(drift + row * d, at, d, vector), xi));
  }
}

}  // namespace tr0n::cuda
