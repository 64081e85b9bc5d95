#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaLangevinKernels final : public LangevinKernels {
 public:
  explicit CudaLangevinKernels(const Queue& queue) : queue_(queue) {}

  void update(const LangevinUpdate& a) const override {
    queue_.launch(rows_launch(queue_, "langevin_update", a.n, a.d), a.n, a.d, a.chains, a.step, a.first_block,
                  a.rng.key(), a.first ? 1 : 0, a.learning_rate, a.momentum, a.noise, a.clip, a.bound,
                  a.gradients, a.momenta, a.z);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const LangevinKernels> make_langevin_kernels(const Queue& queue) {
  return std::make_unique<CudaLangevinKernels>(queue);
}

}  // namespace tr0n::cuda
