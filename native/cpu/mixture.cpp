#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/std_table.h"

namespace tr0n {

namespace {

/// Gradients of one row, given its component log-weights; see MixtureNll.
struct NllRow {
  size_t components, latent;
  const StdTable& stds;
  double scale, bound;

  void backward(const float* logits, const float* means, const float* z, const double* weights,
                double* squares, float* d_logits, float* d_means, float* slopes) const {
    const size_t stride = stds.stride;
    const double weights_norm = log_sum_exp(weights, components),
                 logits_norm = log_sum_exp(logits, components);
    std::fill(squares, squares + latent, 0.0);  // shared stds only
    for (size_t k = 0; k < components; ++k) {
      const double responsibility = std::exp(weights[k] - weights_norm);
      d_logits[k] = static_cast<float>(
          scale * (std::exp(static_cast<double>(logits[k]) - logits_norm) - responsibility));
      const float* mean = means + k * latent;
      float* d_mean = d_means + k * latent;
      const double factor = -scale * responsibility;
      const double *inverse = stds.view.inverse + k * stride, *slope_of_log = stds.slope + k * stride;
      for (size_t j = 0; j < latent; ++j) {
        const double u = (static_cast<double>(z[j]) - static_cast<double>(mean[j])) * inverse[j];
        d_mean[j] = static_cast<float>(factor * u * inverse[j] * slope(mean[j]));
        squares[j] += responsibility * u * u;
        if (stride > 0)
          slopes[k * stride + j] = static_cast<float>(responsibility * (1.0 - u * u) * slope_of_log[j]);
      }
    }
    if (stride > 0) return;
    for (size_t j = 0; j < latent; ++j) slopes[j] = static_cast<float>((1.0 - squares[j]) * stds.slope[j]);
  }

 private:
  /// ∂μ/∂u of μ = bound·tanh(u).
  double slope(float mean) const {
    const double t = static_cast<double>(mean);
    return bound > 0 ? bound - t * t / bound : 1;
  }
};

class CpuMixtureKernels final : public MixtureKernels {
 public:
  void nll(const MixtureNll& a) const override {
    const size_t components = a.q.components, d = a.q.latent, width = a.q.component_stds ? components * d : d;
    for_ranges(a.q.n, 3 * components * (d + 20), [&](size_t begin, size_t end) {
      thread_local Scratch table_memory, row_memory;
      const StdTable stds(a.q, table_memory);
      double* weights = row_memory.get<double>(components + d);
      const NllRow row{components, d, stds, static_cast<double>(a.scale), static_cast<double>(a.bound)};
      for (size_t i = begin; i < end; ++i) {
        const float* logits = a.q.logits + i * components;
        const float* means = a.q.means + i * components * d;
        a.nll[i] = -tr0n::log_density(logits, means, stds.view, components, d, a.z + i * d, weights);
        if (a.d_logits != nullptr)
          row.backward(logits, means, a.z + i * d, weights, weights + components, a.d_logits + i * components,
                       a.d_means + i * components * d, a.rows + i * width);
      }
    });
    if (a.d_logits == nullptr) return;
    column_sums(a.q.n, width, a.rows, a.d_log_stds);
    for (size_t j = 0; j < width; ++j) a.d_log_stds[j] *= a.scale;
  }

  void draw(const MixtureDraw& a) const override {
    const size_t d = a.q.latent;
    for_ranges(a.n, 20 * (a.q.components + d), [&](size_t begin, size_t end) {
      thread_local Scratch scratch;
      const StdValues values(a.q, scratch);
      for (size_t i = begin; i < end; ++i) {
        const size_t row = a.rows == nullptr ? i : a.rows[i];
        const size_t k = choose_component(a.q.logits + row * a.q.components, a.q.components,
                                          a.rng.uniform(a.chains[i], a.step, a.choice));
        const float* mean = a.q.means + (row * a.q.components + k) * d;
        float* out = a.z + i * d;
        a.rng.normal(a.chains[i], a.step, a.normal, out, d);
        const float* stds = values.of(k);
        for (size_t j = 0; j < d; ++j) out[j] = mean[j] + stds[j] * out[j];
      }
    });
  }

  void log_density(const MixtureLogDensity& a) const override {
    const size_t components = a.q.components, d = a.q.latent;
    for_ranges(a.n, components * (d + 20), [&](size_t begin, size_t end) {
      thread_local Scratch table_memory, row_memory;
      const StdTable stds(a.q, table_memory);
      double* weights = row_memory.get<double>(components);
      for (size_t i = begin; i < end; ++i) {
        const size_t row = a.rows == nullptr ? i : a.rows[i];
        a.out[i] = tr0n::log_density(a.q.logits + row * components, a.q.means + row * components * d,
                                     stds.view, components, d, a.z + i * d, weights);
      }
    });
  }
};

}  // namespace

std::unique_ptr<const MixtureKernels> make_mixture_kernels() { return std::make_unique<CpuMixtureKernels>(); }

}  // namespace tr0n
