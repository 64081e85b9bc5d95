#pragma once

// Sums of a fixed order over the threads of a warp or a block.
namespace tr0n::cuda {

constexpr unsigned kWarp = 32, kAllLanes = 0xFFFFFFFFu;

__device__ inline double warp_sum(double value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

__device__ inline double warp_max(double value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    value = fmax(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}

__device__ inline float warp_max(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}

/// Sums over blockDim.x, a multiple of 32 up to 512: the threads that share a row (rows.cuh), each getting
/// the sums. Every thread of the block calls it.
template <int Count>
__device__ inline void row_sums(double (&values)[Count]) {
#pragma unroll
  for (int i = 0; i < Count; ++i) values[i] = warp_sum(values[i]);
  if (blockDim.x == kWarp) return;
  __shared__ double parts[Count][kWarp];
  const unsigned warps = blockDim.x / kWarp, first = threadIdx.y * warps, warp = first + threadIdx.x / kWarp;
  __syncthreads();  // the parts of a sum before have been read
  if (threadIdx.x % kWarp == 0) {
#pragma unroll
    for (int i = 0; i < Count; ++i) parts[i][warp] = values[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < Count; ++i) {
    values[i] = parts[i][first];
    for (unsigned w = 1; w < warps; ++w) values[i] += parts[i][first + w];
  }
}

__device__ inline double row_sum(double value) {
  double values[1] = {value};
  row_sums(values);
  return values[0];
}

/// A float sum that carries what additions round off: exact to about the rounding of its result.
struct CompensatedSum {
  float sum = 0, rest = 0;
  __device__ void add(float value) {
    const float next = __fadd_rn(sum, value), back = __fsub_rn(next, sum);
    rest = __fadd_rn(rest, __fadd_rn(__fsub_rn(sum, __fsub_rn(next, back)), __fsub_rn(value, back)));
    sum = next;
  }
  /// Infinities leave no meaning in what was rounded off.
  __device__ float value() const { return isfinite(sum) ? sum + rest : sum; }
};

}  // namespace tr0n::cuda
