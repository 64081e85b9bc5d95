// Gumbel arg-max over candidates: a warp for each of n chains takes its `count` consecutive candidates
// (numbers first_step …) into its state. z [n·count, d], energies, log_weights [n·count], states [n], best
// [n, d]; of row i the places in chains, states and best are members[i] where there are members.
//   score_j = ℓ_j + Gumbel_j; the largest so far wins (the first of equals), its z goes to best
//   largest = max ℓ, sum = Σ exp(ℓ − largest), square_sum = Σ exp(2(ℓ − largest)), rescaled as largest grows
// All in double and with the CPU's operations in the CPU's order, so that neither the device nor how
// candidates are split over calls changes a winner or a sum: lanes compute what belongs to one candidate,
// then every lane adds up candidate after candidate. Moves n·count doubles and 2·n·d floats.
#include "device/kernels/resample.h"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

__device__ double gumbel(uint2 key, Chain chain, uint32_t candidate) {
  const uint4 words = Draw(key, chain, 0, Purpose::resample).bits(candidate / 4);
  const unsigned i = candidate % 4;
  const uint32_t bits = i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
  return -log(-log(unit(bits)));
}

/// The largest of this lane's value, those of the lanes before it, and `before`.
__device__ double prefix_max(double value, double before) {
#pragma unroll
  for (unsigned offset = 1; offset < kWarp; offset *= 2) {
    const double other = __shfl_up_sync(kAllLanes, value, offset);
    if (threadIdx.x >= offset) value = fmax(value, other);
  }
  return fmax(value, before);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256)
    resample(size_t n, size_t count, size_t d, const uint32_t* __restrict__ members,
             const Chain* __restrict__ chains, uint32_t first_step, uint2 key, const float* __restrict__ z,
             const float* __restrict__ energies, const double* __restrict__ log_weights,
             ResampleState* states, float* __restrict__ best) {
  const size_t row = row_of_block();
  if (row >= n) return;
  const double infinity = __longlong_as_double(0x7FF0000000000000);
  const unsigned lane = threadIdx.x;
  const bool vector = vectors_fit(d, z, best);
  const size_t own = members != nullptr ? members[row] : row;
  const Chain chain = chains[own];
  ResampleState state = states[own];
  size_t winner = count;
  for (size_t first = 0; first < count; first += kWarp) {
    const size_t j = first + lane;
    const double weight = j < count ? log_weights[row * count + j] : -infinity;
    const bool counts = weight != -infinity;
    const double score =
        counts ? weight + gumbel(key, chain, first_step + static_cast<uint32_t>(j)) : -infinity;
    // What is largest before and after this candidate.
    const double after = prefix_max(weight, state.largest);
    double before = __shfl_up_sync(kAllLanes, after, 1);
    if (lane == 0) before = state.largest;
    const double factor = after > before ? exp(before - after) : 1;
    const double relative = counts ? exp(weight - after) : 0;
    const unsigned lanes = static_cast<unsigned>(min(static_cast<size_t>(kWarp), count - first));
    for (unsigned l = 0; l < lanes; ++l) {
      const double f = __shfl_sync(kAllLanes, factor, l), r = __shfl_sync(kAllLanes, relative, l),
                   s = __shfl_sync(kAllLanes, score, l);
      // Rounded one by one, as on the CPU: factors of 1 and shares of 0 change nothing.
      state.sum = __dadd_rn(__dmul_rn(state.sum, f), r);
      state.square_sum = __dadd_rn(__dmul_rn(state.square_sum, __dmul_rn(f, f)), __dmul_rn(r, r));
      if (s > state.best_score) {
        state.best_score = s;
        winner = first + l;
      }
    }
    state.largest = __shfl_sync(kAllLanes, after, kWarp - 1);
  }
  if (winner < count) {
    state.best_energy = static_cast<double>(energies[row * count + winner]);
    for (size_t at = 4 * lane; at < d; at += 4 * kWarp)
      store4(best + own * d, at, d, vector, load4(z + (row * count + winner) * d, at, d, vector));
  }
  if (lane == 0) states[own] = state;
}

}  // namespace tr0n::cuda
