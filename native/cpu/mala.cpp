#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

/// kernels.h, mala_accept: ⅓·log of how many times below e⁻⁴ the accept probability's logarithm is.
double far_off(double log_ratio) {
  if (!(log_ratio < -4) || std::isinf(log_ratio)) return 0;
  return std::log(std::fmin(-0.25 * log_ratio, 1e6)) / 3;
}

}  // namespace

void CpuKernels::target_gradient(const Prior& prior, double fidelity, double prior_weight, size_t n,
                                 const float* z, const float* energies, double* targets,
                                 float* gradients) const {
  const size_t d = prior.dim;
  for_ranges(n, 4 * d, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float* gradient = gradients + i * d;
      const float* latent = z + i * d;
      if (fidelity != 1)
        for (size_t j = 0; j < d; ++j) gradient[j] *= static_cast<float>(fidelity);
      if (prior_weight != 0) prior.add_energy_gradient(latent, static_cast<float>(prior_weight), gradient);
      if (targets == nullptr) continue;
      // Outside the support the density is zero whatever the prior's weight.
      const double target = prior.contains(latent) ? fidelity * static_cast<double>(energies[i]) +
                                                         prior_weight * prior.energy(latent)
                                                   : std::numeric_limits<double>::infinity();
      targets[i] = std::isfinite(energies[i]) && std::isfinite(target)
                       ? target
                       : std::numeric_limits<double>::infinity();
    }
  });
}

void CpuKernels::mala_propose(size_t n, size_t d, const MalaState* states, const Chain* chains, uint32_t step,
                              const Philox& rng, const float* z, const float* drift, float* proposal) const {
  for_ranges(n, 25 * d, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const double h = std::exp(states[i].log_step), noise = std::sqrt(2 * h);
      float* out = proposal + i * d;
      rng.normal(chains[i], step, Purpose::proposal, out, d);
      for (size_t j = 0; j < d; ++j)
        out[j] =
            static_cast<float>(static_cast<double>(z[i * d + j]) - h * static_cast<double>(drift[i * d + j]) +
                               noise * static_cast<double>(out[j]));
    }
  });
}

void CpuKernels::mala_accept(size_t n, size_t d, const Chain* chains, uint32_t step, const Philox& rng,
                             double adapt, double target_accept, const float* proposal,
                             const float* proposal_drift, const float* proposal_energies,
                             const double* proposal_targets, MalaState* states, float* z, float* drift,
                             float* energies) const {
  for_ranges(n, 6 * d + 40, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      MalaState& state = states[i];
      const double h = std::exp(state.log_step);
      float* here = z + i * d;
      const float* there = proposal + i * d;
      float* drift_here = drift + i * d;
      const float* drift_there = proposal_drift + i * d;
      double forward = 0, backward = 0;  // ‖z' − z + hD(z)‖², ‖z − z' + hD(z')‖²
      for (size_t j = 0; j < d; ++j) {
        const double move = static_cast<double>(there[j]) - static_cast<double>(here[j]);
        const double f = move + h * static_cast<double>(drift_here[j]);
        const double b = h * static_cast<double>(drift_there[j]) - move;
        forward += f * f;
        backward += b * b;
      }
      const double log_ratio = state.energy - proposal_targets[i] + (forward - backward) / (4 * h);
      const double accept = log_ratio >= 0 ? 1 : std::isnan(log_ratio) ? 0 : std::exp(log_ratio);
      state.acceptance += accept;
      if (rng.uniform(chains[i], step, Purpose::accept) < accept) {
        std::copy_n(there, d, here);
        std::copy_n(drift_there, d, drift_here);
        energies[i] = proposal_energies[i];
        state.energy = proposal_targets[i];
      }
      if (adapt > 0) state.log_step += adapt * (accept - target_accept - far_off(log_ratio));
    }
  });
}

}  // namespace tr0n
