#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaLossKernels final : public LossKernels {
 public:
  explicit CudaLossKernels(const Queue& queue) : queue_(queue) {}

  void squared_error(const SquaredError& a) const override {
    queue_.launch(rows_launch(queue_, "squared_error", a.n, a.size), a.n, a.size, a.prediction, a.target,
                  2.0f * a.scale / static_cast<float>(a.size), a.bound, a.error, a.gradient);
  }

  void weighted_sum(const WeightedSum& a) const override {
    queue_.launch({"weighted_sum", {1}, {a.n <= 32 ? 32u : 512u}}, a.n, a.x, a.x_factor, a.y, a.y_factor,
                  a.out);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const LossKernels> make_loss_kernels(const Queue& queue) {
  return std::make_unique<CudaLossKernels>(queue);
}

}  // namespace tr0n::cuda
