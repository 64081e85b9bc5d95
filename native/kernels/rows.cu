// Rows that are moved, added and looked at as they are:
//   copy_rows        to_i = row index[i], or (first + i) / repeats, of from; strides in floats   moves 2·n·w
//   add_groups       sums of groups of rows, in the rows' order                        moves n·w + 2·groups·w
//   scale_rows       to = factor·from                                                          moves 2·count
//   find_not_finite  the least row that has something infinite or NaN                             moves n·w
// The order of additions is the CPU's, one thread for each sum, so that the bits are, too.
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

/// Group g, counted from that of row 0, one column a thread.
template <class Sum>
__device__ void add_groups(size_t n, size_t width, size_t first, size_t repeats, const float* from,
                           Sum* sums) {
  const size_t g = blockIdx.x, before = first / repeats;
  const size_t begin = max((before + g) * repeats, first) - first;
  const size_t end = min((before + g + 1) * repeats, first + n) - first;
  for (size_t j = size_t{blockIdx.y} * blockDim.x + threadIdx.x; j < width;
       j += size_t{gridDim.y} * blockDim.x) {
    Sum sum = sums[g * width + j];
    for (size_t i = begin; i < end; ++i) sum += static_cast<Sum>(from[i * width + j]);
    sums[g * width + j] = sum;
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(512)
    copy_rows(size_t n, size_t width, const float* __restrict__ from, size_t from_stride,
              const uint32_t* __restrict__ index, size_t first, size_t repeats, float* __restrict__ to,
              size_t to_stride) {
  const size_t i = row_of_block();
  if (i >= n) return;
  const size_t row = index != nullptr ? index[i] : (first + i) / repeats;
  const bool vector = vectors_fit(width | from_stride | to_stride, from, to);
  for (size_t at = 4 * threadIdx.x; at < width; at += 4 * blockDim.x)
    store4(to + i * to_stride, at, width, vector, load4(from + row * from_stride, at, width, vector));
}

/// A block of one group, or several side by side (y) where rows are wide.
extern "C" __global__ void __launch_bounds__(256)
    add_groups(size_t n, size_t width, size_t first, size_t repeats, const float* __restrict__ from,
               float* __restrict__ sums) {
  add_groups<float>(n, width, first, repeats, from, sums);
}

extern "C" __global__ void __launch_bounds__(256)
    add_groups_wide(size_t n, size_t width, size_t first, size_t repeats, const float* __restrict__ from,
                    double* __restrict__ sums) {
  add_groups<double>(n, width, first, repeats, from, sums);
}

/// `to` may be `from`. Either of `from` and `wide_from` is null.
extern "C" __global__ void __launch_bounds__(256)
    scale_rows(size_t count, double factor, const float* from, const double* wide_from, float* to) {
  const size_t i = size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  to[i] = wide_from != nullptr ? static_cast<float>(wide_from[i] * factor)
                               : __fmul_rn(from[i], static_cast<float>(factor));
}

extern "C" __global__ void __launch_bounds__(512)
    find_not_finite(size_t n, size_t width, const float* __restrict__ values, uint32_t* first) {
  const size_t row = row_of_block();
  if (row >= n) return;
  const bool vector = vectors_fit(width, values);
  bool bad = false;
  for (size_t at = 4 * threadIdx.x; at < width; at += 4 * blockDim.x) {
    const float4 x = load4(values + row * width, at, width, vector);
    bad |= !(isfinite(x.x) && isfinite(x.y) && isfinite(x.z) && isfinite(x.w));
  }
  if (bad) atomicMin(first, static_cast<uint32_t>(row));
}

}  // namespace tr0n::cuda
