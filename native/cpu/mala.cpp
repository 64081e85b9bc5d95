#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tr0n {
namespace {

/// MalaAccept: ⅓·log of how many times below e⁻⁴ the accept probability's logarithm is.
double far_off(double log_ratio) {
  if (!(log_ratio < -4) || std::isinf(log_ratio)) return 0;
  return std::log(std::fmin(-0.25 * log_ratio, 1e6)) / 3;
}

class CpuMalaKernels final : public MalaKernels {
 public:
  void propose(const MalaPropose& a) const override {
    for_ranges(a.n, 25 * a.d, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double h = std::exp(a.states[i].log_step), noise = std::sqrt(2 * h);
        float* out = a.proposal + i * a.d;
        a.rng.normal(a.chains[i], a.step, Purpose::proposal, out, a.d);
        for (size_t j = 0; j < a.d; ++j)
          out[j] = static_cast<float>(static_cast<double>(a.z[i * a.d + j]) -
                                      h * static_cast<double>(a.drift[i * a.d + j]) +
                                      noise * static_cast<double>(out[j]));
      }
    });
  }

  void accept(const MalaAccept& a) const override {
    for_ranges(a.n, 6 * a.d + 40, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        MalaState& state = a.states[i];
        const double h = std::exp(state.log_step);
        float* here = a.z + i * a.d;
        const float* there = a.proposal + i * a.d;
        float* drift_here = a.drift + i * a.d;
        const float* drift_there = a.proposal_drift + i * a.d;
        double forward = 0, backward = 0;  // ‖z' − z + hD(z)‖², ‖z − z' + hD(z')‖²
        for (size_t j = 0; j < a.d; ++j) {
          const double move = static_cast<double>(there[j]) - static_cast<double>(here[j]);
          const double f = move + h * static_cast<double>(drift_here[j]);
          const double b = h * static_cast<double>(drift_there[j]) - move;
          forward += f * f;
          backward += b * b;
        }
        const double log_ratio = state.energy - a.proposal_targets[i] + (forward - backward) / (4 * h);
        const double accept = log_ratio >= 0 ? 1 : std::isnan(log_ratio) ? 0 : std::exp(log_ratio);
        state.acceptance += accept;
        if (a.rng.uniform(a.chains[i], a.step, Purpose::accept) < accept) {
          std::copy_n(there, a.d, here);
          std::copy_n(drift_there, a.d, drift_here);
          a.energies[i] = a.proposal_energies[i];
          state.energy = a.proposal_targets[i];
        }
        if (a.adapt > 0) state.log_step += a.adapt * (accept - a.target_accept - far_off(log_ratio));
      }
    });
  }
};

}  // namespace

std::unique_ptr<const MalaKernels> make_mala_kernels() { return std::make_unique<CpuMalaKernels>(); }

}  // namespace tr0n
