#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tr0n {

namespace {

class CpuTargetKernels final : public TargetKernels {
 public:
  void gradient(const TargetGradient& a) const override {
    const size_t d = a.prior.dim;
    for_ranges(a.n, 4 * d, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        float* gradient = a.gradients + i * d;
        const float* latent = a.z + i * d;
        if (a.fidelity != 1)
          for (size_t j = 0; j < d; ++j) gradient[j] *= static_cast<float>(a.fidelity);
        if (a.prior_weight != 0)
          a.prior.add_energy_gradient(latent, static_cast<float>(a.prior_weight), gradient);
        if (a.targets == nullptr) continue;
        // Outside the support the density is zero whatever the prior's weight.
        const double target = a.prior.contains(latent) ? a.fidelity * static_cast<double>(a.energies[i]) +
                                                             a.prior_weight * a.prior.energy(latent)
                                                       : std::numeric_limits<double>::infinity();
        a.targets[i] = std::isfinite(a.energies[i]) && std::isfinite(target)
                           ? target
                           : std::numeric_limits<double>::infinity();
      }
    });
  }
};

}  // namespace

std::unique_ptr<const TargetKernels> make_target_kernels() { return std::make_unique<CpuTargetKernels>(); }

}  // namespace tr0n
