// out_i = one-hot(y), y ~ Categorical(c_i / Σ c_i) by inverse CDF of one uniform (Purpose::label); c, out [n,
// m], out may be c. Entries that are not above 0 (NaN too) count as zero; 0 is the label where all are. A
// warp per row: the total, then the first prefix sum above u·total, 32 entries at a time. In double, as on
// the CPU; where a prefix sum and u·total agree to 15 digits, the order of additions may choose another
// label. Moves 2·n·m floats, c read twice.
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {

extern "C" __global__ void __launch_bounds__(256)
    sample_labels(size_t n, size_t m, const Chain* __restrict__ chains, uint32_t step, uint2 key,
                  const float* c, float* out) {
  const size_t row = row_of_block();
  if (row >= n) return;
  const unsigned lane = threadIdx.x;
  const float* weights = c + row * m;
  const auto weight = [&](size_t at) {
    const float w = at < m ? weights[at] : 0.0f;
    return w > 0.0f ? static_cast<double>(w) : 0.0;
  };
  double total = 0;
  for (size_t at = lane; at < m; at += kWarp) total += weight(at);
  double left = uniform(Draw(key, chains[row], step, Purpose::label)) * warp_sum(total);

  size_t label = 0;  // of the last entry that has any weight, where rounding leaves a little at the end
  for (size_t first = 0; first < m; first += kWarp) {
    const double own = weight(first + lane);
    double prefix = own;
#pragma unroll
    for (unsigned offset = 1; offset < kWarp; offset *= 2) {
      const double before = __shfl_up_sync(kAllLanes, prefix, offset);
      if (lane >= offset) prefix += before;
    }
    const unsigned weighty = __ballot_sync(kAllLanes, own > 0);
    const unsigned beyond = __ballot_sync(kAllLanes, own > 0 && left - prefix < 0);
    if (beyond != 0) {
      label = first + __ffs(static_cast<int>(beyond)) - 1;
      break;
    }
    if (weighty != 0) label = first + 31 - __clz(static_cast<int>(weighty));
    left -= __shfl_sync(kAllLanes, prefix, kWarp - 1);
  }
  __syncwarp();  // the row has been read where it is overwritten
  for (size_t at = lane; at < m; at += kWarp) out[row * m + at] = at == label ? 1.0f : 0.0f;
}

}  // namespace tr0n::cuda
