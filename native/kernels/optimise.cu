// One training step of clipping and Adam over all parameters, in one cooperative launch.
//   norm = √Σ g², g [count];  scale = clip / (norm + 1e-6), at most 1;  Adam (adam.cuh) on scale·g
// The first half sums squares, a partial sum for each block; after a barrier of the whole grid every block
// adds up the partial sums in the same order, decides alike whether the step is made, and updates its share.
// Moves 8·count floats: gradients twice, parameters and both moments read and written. The second half runs
// through the arrays backwards: the gradients that were read last are still in the L2 cache (all of them,
// where they fit). The order of the sum follows from the number of blocks, which follows from `count` and the
// device.
#include "kernels/adam.cuh"
#include "kernels/grid.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

constexpr unsigned kThreads = 256, kMaxBlocks = 4096, kQuads = 2;  // quads of floats a thread takes at a time

__device__ double partial_sums[kMaxBlocks];

__device__ bool zero(float4 a, float4 b) {
  return ((__float_as_uint(a.x) | __float_as_uint(a.y) | __float_as_uint(a.z) | __float_as_uint(a.w) |
           __float_as_uint(b.x) | __float_as_uint(b.y) | __float_as_uint(b.z) | __float_as_uint(b.w)) &
          0x7FFFFFFFu) == 0;
}

/// Σ of eight squares in float: its rounding, 2e-7 of a term at most, averages out, and the sum over all such
/// is in double. Where squares could overflow or vanish, in double too; gradients seldom are that large or
/// small.
__device__ double eight_squares(float4 a, float4 b) {
  const float left = __fmaf_rn(a.x, a.x, a.y * a.y) + __fmaf_rn(a.z, a.z, a.w * a.w);
  const float right = __fmaf_rn(b.x, b.x, b.y * b.y) + __fmaf_rn(b.z, b.z, b.w * b.w);
  const float sum = left + right;
  if (sum >= 1e-20f && sum <= 1e37f) return static_cast<double>(sum);
  return zero(a, b) ? 0 : square_sum(a) + square_sum(b);
}

__device__ double block_sum(double value) {
  __shared__ double parts[kThreads / kWarp];
  value = warp_sum(value);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = parts[0];
  for (unsigned w = 1; w < kThreads / kWarp; ++w) value += parts[w];
  return value;
}

/// Floats [0, count) in fours; `vector` where every array is aligned for it.
struct Quads {
  size_t count;
  bool vector;
  __device__ float4 load(const float* x, size_t quad) const {
    if (4 * quad >= count) return make_float4(0, 0, 0, 0);
    return load4(x, 4 * quad, count, vector && 4 * quad + 4 <= count);
  }
  __device__ void store(float* x, size_t quad, float4 values) const {
    if (4 * quad < count) store4(x, 4 * quad, count, vector && 4 * quad + 4 <= count, values);
  }
};

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads, 4)
    optimise(const AdamStep* step, size_t count, const float* gradients, AdamArrays arrays,
             const double* loss, StepTotals* totals) {
  __shared__ AdamFactors shared_factors;
  const uint64_t stopped = totals->stopped;  // block 0 writes it after the barrier
  if (stopped != 0) return;                  // alike in every block
  const Quads quads{count, vectors_fit(0, gradients, arrays.parameters, arrays.m, arrays.v)};
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads * kQuads;
  const size_t first = static_cast<size_t>(blockIdx.x) * kThreads * kQuads + threadIdx.x;
  const size_t rounds = ((count + 3) / 4 + stride - 1) / stride;

  double sum = 0;
#pragma unroll 2
  for (size_t round = 0; round < rounds; ++round) {
    const size_t at = first + round * stride;
    sum += eight_squares(quads.load(gradients, at), quads.load(gradients, at + kThreads));
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial_sums[blockIdx.x] = sum;
  if (threadIdx.x == kWarp) shared_factors = AdamFactors(*step);
  grid_barrier();

  sum = 0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads)
    sum += __ldcg(&partial_sums[block]);
  const double norm = sqrt(block_sum(sum));
  const bool keeper = blockIdx.x == 0 && threadIdx.x == 0;
  if (!take_step(*loss, norm, stopped, keeper, totals)) return;

  const AdamFactors factors = shared_factors;
  const float scale = static_cast<float>(clip_factor(norm, step->clip));
  for (size_t round = rounds; round-- > 0;) {
    const size_t at = first + round * stride;
    float4 g[kQuads], m[kQuads], v[kQuads], x[kQuads];
#pragma unroll
    for (unsigned q = 0; q < kQuads; ++q) {
      g[q] = quads.load(gradients, at + q * kThreads);
      m[q] = quads.load(arrays.m, at + q * kThreads);
      v[q] = quads.load(arrays.v, at + q * kThreads);
      x[q] = quads.load(arrays.parameters, at + q * kThreads);
    }
#pragma unroll
    for (unsigned q = 0; q < kQuads; ++q) {
      factors.apply(map4([scale](float value) { return __fmul_rn(scale, value); }, g[q]), m[q], v[q], x[q]);
      quads.store(arrays.m, at + q * kThreads, m[q]);
      quads.store(arrays.v, at + q * kThreads, v[q]);
      quads.store(arrays.parameters, at + q * kThreads, x[q]);
    }
  }
}

}  // namespace tr0n::cuda
