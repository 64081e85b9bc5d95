// From the objective's energies E [n] and gradients [n, d] to the target's, in place:
//   targets_i = fidelity·E + prior_weight·U_p(z), U_p = −log p without its constant; +infinity outside the
//   support or where not finite.  g ← fidelity·g + prior_weight·∇U_p(z)
// The gradient in float with the CPU's operations, targets in double. Moves 3·n·d floats.
#include "kernels/prior.cuh"

namespace tr0n::cuda {

/// `prior_scale` is prior_weight/std² where the prior pulls (`pulled`), for elements prior_weight. targets
/// may be null.
extern "C" __global__ void __launch_bounds__(512, 1)
    target_gradient(Prior prior, double fidelity, double prior_weight, float prior_scale, int pulled,
                    size_t n, const float* __restrict__ z, const float* __restrict__ energies,
                    double* __restrict__ targets, float* __restrict__ gradients) {
  const size_t d = prior.dim, row = row_of_block(), start = 4 * threadIdx.x;
  const bool active = row < n, vector = vectors_fit(d, z, gradients);
  const float factor = static_cast<float>(fidelity);
  const float* latent = z + row * d;
  float* gradient = gradients + row * d;
  const auto blended = [&](size_t at, float4 x) {
    float4 g = load4(gradient, at, d, vector);
    if (fidelity != 1) g = map4([=](float value) { return __fmul_rn(value, factor); }, g);
    if (pulled != 0 && prior.kind == Prior::Kind::elements)
      for (unsigned i = 0; i < 4 && at + i < d; ++i) {
        const PriorElement e = prior.elements[at + i];
        const float scale = __fdiv_rn(prior_scale, __fmul_rn(e.std, e.std));
        float& value = i == 0 ? g.x : i == 1 ? g.y : i == 2 ? g.z : g.w;
        value = multiply_add(scale,
                             __fsub_rn(i == 0   ? x.x
                                       : i == 1 ? x.y
                                       : i == 2 ? x.z
                                                : x.w,
                                       e.mean),
                             value);
      }
    else if (pulled != 0)
      g = map4([=](float value, float here) { return multiply_add(prior_scale, here, value); }, g, x);
    return g;
  };

  double sums[2] = {0, 0};  // ‖z‖², elements outside
  if (active) {
    PriorSums prior_sums;
    for (size_t at = start; at < d; at += 4 * blockDim.x) {
      const float4 x = load4(latent, at, d, vector);
      store4(gradient, at, d, vector, blended(at, x));
      prior_sums.add(prior, at, x);
    }
    sums[0] = prior_sums.square;
    sums[1] = prior_sums.outside;
  }
  row_sums(sums);
  if (!active) return;
  if (targets != nullptr && threadIdx.x == 0) {
    const double energy = static_cast<double>(energies[row]);
    const double target = fidelity * energy + prior_weight * prior_energy(prior, sums[0]);
    const bool valid = sums[1] == 0 && isfinite(energy) && isfinite(target);
    targets[row] = valid ? target : __longlong_as_double(0x7FF0000000000000);
  }
}

}  // namespace tr0n::cuda
