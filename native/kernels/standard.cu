// Standard coordinates of latents (device/kernels/standard.h), z = T(u), [n, d]:
//   from_standard  z = T(u)                                                            moves 2·n·d floats
//   to_standard    u = T⁻¹(z), and z = T(u) of what u was rounded to                   moves 3·n·d floats
//   pull_back      λ·∂E/∂u, clipped to a norm, + what bounded dimensions add; λ·E + the same   moves 4·n·d
// In double with the CPU's formulas, a row's sums by the threads that share it. Φ and Φ⁻¹ are computed of
// bounded dimensions alone: of normal ones T is a product and a sum. An element a thread: they are what
// costs, and there are enough of them.
#include "device/kernels/standard.h"
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

using Kind = StandardCoordinate::Kind;

__device__ float moved(const StandardView& standard, size_t j, float u) {
  return standard.identity ? u : static_cast<float>(standard.of(j).latent(static_cast<double>(u)));
}

}  // namespace

extern "C" __global__ void __launch_bounds__(512)
    from_standard(StandardView standard, size_t n, const float* __restrict__ u, float* __restrict__ z) {
  const size_t row = row_of_block(), d = standard.d;
  if (row >= n) return;
  for (size_t j = threadIdx.x; j < d; j += blockDim.x) z[row * d + j] = moved(standard, j, u[row * d + j]);
}

extern "C" __global__ void __launch_bounds__(512)
    to_standard(StandardView standard, size_t n, float* __restrict__ z, float* __restrict__ u) {
  const size_t row = row_of_block(), d = standard.d;
  if (row >= n) return;
  for (size_t j = threadIdx.x; j < d; j += blockDim.x) {
    const float x = z[row * d + j];
    const float there =
        standard.identity ? x : static_cast<float>(standard.of(j).standard(static_cast<double>(x)));
    u[row * d + j] = there;
    if (!standard.identity) z[row * d + j] = moved(standard, j, there);
  }
}

extern "C" __global__ void __launch_bounds__(512)
    pull_back(StandardView standard, double fidelity, double prior_weight, double max_drift, size_t n,
              const float* __restrict__ u, const float* __restrict__ z, const float* __restrict__ energies,
              float* __restrict__ target_energies, float* __restrict__ gradients) {
  const size_t row = row_of_block(), d = standard.d;
  const bool active = row < n;
  const double excess = prior_weight - 1;
  const float *here = u + row * d, *latent = z + row * d;
  float* gradient = gradients + row * d;
  const auto slope = [&](size_t j) {
    return fidelity * standard.of(j).slope(static_cast<double>(here[j]), static_cast<double>(latent[j]));
  };
  double scale = 1;
  if (max_drift > 0) {
    double square = 0;
    for (size_t j = threadIdx.x; active && j < d; j += blockDim.x) {
      const double g = slope(j) * static_cast<double>(gradient[j]);
      square += g * g;
    }
    const double norm = sqrt(row_sum(square));
    if (norm > max_drift) scale = max_drift / norm;
  }
  double correction = 0;
  for (size_t j = threadIdx.x; active && j < d; j += blockDim.x) {
    double g = scale * slope(j) * static_cast<double>(gradient[j]);
    if (excess != 0 && standard.of(j).kind != Kind::normal) {
      const StandardCoordinate c = standard.of(j);
      const double x = static_cast<double>(here[j]);
      const double y = c.kind == Kind::uniform ? 0 : (static_cast<double>(latent[j]) - c.centre) / c.scale;
      correction += 0.5 * (y * y - x * x);
      g += excess * (y / c.scale * c.slope(x, static_cast<double>(latent[j])) - x);
    }
    gradient[j] = static_cast<float>(g);
  }
  correction = row_sum(correction);
  if (active && threadIdx.x == 0)
    target_energies[row] =
        static_cast<float>(fidelity * static_cast<double>(energies[row]) + excess * correction);
}

}  // namespace tr0n::cuda
