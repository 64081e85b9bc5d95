// Noise on conditions in training; c, out [n, m], out may be c. ε by Purpose::condition_noise.
//   condition_noise:             out = c + s·ε with s = scale, or, adaptive, s = scale·‖c‖/‖ε‖ (0 where ε is
//   0)
//     Moves 2·n·m floats. A row of more than four elements a thread is read, and its ε made, twice.
//   condition_noise_covariance:  out = c + L·ε, L [m, m] lower triangular
//     A tile of 16 rows × 32 columns a block. The ε of its rows are made in shared memory, 32 at a time:
//     cheaper than a launch that writes them and one that reads them. Moves 2·n·m + n/16·m²/2 floats.
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

constexpr unsigned kRows = 16, kColumns = 32, kDepth = 32, kThreads = 128;
constexpr unsigned kPitch = kDepth + 4;  // rows of four neighbouring lanes' vectors fall into different banks

}  // namespace

extern "C" __global__ void __launch_bounds__(512)
    condition_noise(int adaptive, float scale, size_t n, size_t m, const Chain* __restrict__ chains,
                    uint32_t step, uint2 key, const float* c, float* out) {
  const size_t row = row_of_block(), start = 4 * threadIdx.x;
  const bool active = row < n, vector = vectors_fit(m, c, out);
  const Draw draw(key, active ? chains[row] : Chain{}, step, Purpose::condition_noise);
  const float* condition = c + row * m;
  float4 kept_noise = make_float4(0, 0, 0, 0), kept = kept_noise;
  // Elements of the last block beyond the row are drawn, and not counted.
  const auto noise_at = [&](size_t at) {
    float4 epsilon = normals(draw, static_cast<uint32_t>(at / 4));
    if (at + 1 >= m) epsilon.y = 0;
    if (at + 2 >= m) epsilon.z = 0;
    if (at + 3 >= m) epsilon.w = 0;
    return epsilon;
  };
  if (active && start < m) {
    kept = load4(condition, start, m, vector);
    kept_noise = noise_at(start);
  }
  float s = scale;
  if (adaptive != 0) {
    double squares[2] = {square_sum(kept), square_sum(kept_noise)};
    if (active)
      for (size_t at = start + 4 * blockDim.x; at < m; at += 4 * blockDim.x) {
        squares[0] += square_sum(load4(condition, at, m, vector));
        squares[1] += square_sum(noise_at(at));
      }
    row_sums(squares);
    const double length = sqrt(squares[1]);
    s = length > 0 ? static_cast<float>(static_cast<double>(scale) * sqrt(squares[0]) / length) : 0.0f;
  }
  if (!active) return;
  for (size_t at = start; at < m; at += 4 * blockDim.x) {
    const float4 x = at == start ? kept : load4(condition, at, m, vector),
                 epsilon = at == start ? kept_noise : noise_at(at);
    store4(out + row * m, at, m, vector,
           map4([s](float value, float e) { return multiply_add(s, e, value); }, x, epsilon));
  }
}

/// A grid of (⌈m/32⌉, ⌈n/16⌉) blocks. A thread has one column of four rows.
extern "C" __global__ void __launch_bounds__(kThreads)
    condition_noise_covariance(const float* __restrict__ factor, size_t n, size_t m,
                               const Chain* __restrict__ chains, uint32_t step, uint2 key, const float* c,
                               float* out) {
  __shared__ __align__(16) float epsilon[kRows][kDepth];
  __shared__ __align__(16) float columns[kColumns][kPitch];
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const size_t first_column = static_cast<size_t>(blockIdx.x) * kColumns;
  const size_t first_row = static_cast<size_t>(blockIdx.y) * kRows;
  const size_t column = first_column + lane;
  const size_t depth = min(m, first_column + kColumns);  // L is zero to the right of its diagonal
  float sums[kRows / 4] = {};

  // One block of four normals a thread: row threadIdx.x / 8, elements 4·(threadIdx.x % 8) of the chunk.
  const unsigned drawn = threadIdx.x / (kDepth / 4), part = threadIdx.x % (kDepth / 4);
  const Draw draw(key, first_row + drawn < n ? chains[first_row + drawn] : Chain{}, step,
                  Purpose::condition_noise);
  for (size_t chunk = 0; chunk < depth; chunk += kDepth) {
    __syncthreads();
    *reinterpret_cast<float4*>(&epsilon[drawn][4 * part]) =
        normals(draw, static_cast<uint32_t>(chunk / 4) + part);
    for (unsigned j = warp; j < kColumns; j += kThreads / kWarp) {
      const size_t row_of_factor = first_column + j, at = chunk + lane;
      columns[j][lane] = row_of_factor < m && at <= row_of_factor ? factor[row_of_factor * m + at] : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (unsigned at = 0; at < kDepth; at += 4) {
      const float4 l = *reinterpret_cast<const float4*>(&columns[lane][at]);
#pragma unroll
      for (unsigned r = 0; r < kRows / 4; ++r) {
        const float4 e = *reinterpret_cast<const float4*>(&epsilon[warp + 4 * r][at]);
        sums[r] = fmaf(l.x, e.x, fmaf(l.y, e.y, fmaf(l.z, e.z, fmaf(l.w, e.w, sums[r]))));
      }
    }
  }
  if (column >= m) return;
#pragma unroll
  for (unsigned r = 0; r < kRows / 4; ++r) {
    const size_t row = first_row + warp + 4 * r;
    if (row < n) out[row * m + column] = c[row * m + column] + sums[r];
  }
}

}  // namespace tr0n::cuda
