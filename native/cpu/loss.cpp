#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tr0n {
namespace {

class CpuLossKernels final : public LossKernels {
 public:
  void squared_error(const SquaredError& a) const override {
    const size_t size = a.size;
    const float factor = 2.0f * a.scale / static_cast<float>(size), bound = a.bound;
    for_ranges(a.n, 2 * size, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        double sum = 0;
        for (size_t j = i * size; j < (i + 1) * size; ++j) {
          const double difference = static_cast<double>(a.prediction[j]) - static_cast<double>(a.target[j]);
          sum += difference * difference;
          if (a.gradient == nullptr) continue;
          a.gradient[j] = factor * static_cast<float>(difference);
          if (bound > 0) a.gradient[j] *= bound - a.prediction[j] * a.prediction[j] / bound;
        }
        a.error[i] = sum / static_cast<double>(size);
      }
    });
  }

  void weighted_sum(const WeightedSum& a) const override {
    double x_sum = 0, y_sum = 0;
    for (size_t i = 0; i < a.n; ++i) x_sum += a.x[i];
    if (a.y != nullptr)
      for (size_t i = 0; i < a.n; ++i) y_sum += a.y[i];
    *a.out = a.x_factor * x_sum + (a.y != nullptr ? a.y_factor * y_sum : 0);
  }
};

}  // namespace

std::unique_ptr<const LossKernels> make_loss_kernels() { return std::make_unique<CpuLossKernels>(); }

}  // namespace tr0n
