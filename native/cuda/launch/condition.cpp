#include <algorithm>

#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaConditionKernels final : public ConditionKernels {
 public:
  explicit CudaConditionKernels(const Queue& queue) : queue_(queue) {}

  void noise(const ConditionNoise& a) const override {
    if (a.kind == ConditionNoiseKind::none && a.out == a.c) return;
    if (a.kind == ConditionNoiseKind::covariance) {
      // The grid's second side is short: more rows go in several launches.
      constexpr size_t most = size_t{16} * 0xFFFF;
      for (size_t first = 0; first < a.n; first += most) {
        const size_t n = std::min(most, a.n - first);
        queue_.launch(
            {"condition_noise_covariance", {block_count(a.m, 32), block_count(n, 16), 1}, {128, 1, 1}},
            a.factor, n, a.m, a.chains + first, a.step, a.rng.key(), a.c + first * a.m, a.out + first * a.m);
      }
      return;
    }
    // No noise is noise of scale 0: a copy.
    queue_.launch(rows_launch(queue_, "condition_noise", a.n, a.m),
                  a.kind == ConditionNoiseKind::adaptive ? 1 : 0,
                  a.kind == ConditionNoiseKind::none ? 0.0f : a.scale, a.n, a.m, a.chains, a.step,
                  a.rng.key(), a.c, a.out);
  }

  void labels(const SampleLabels& a) const override {
    queue_.launch(warps_launch(queue_, "sample_labels", a.n), a.n, a.m, a.chains, a.step, a.rng.key(), a.c,
                  a.out);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const ConditionKernels> make_condition_kernels(const Queue& queue) {
  return std::make_unique<CudaConditionKernels>(queue);
}

}  // namespace tr0n::cuda
