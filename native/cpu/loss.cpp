#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/std_table.h"

namespace tr0n {
namespace {

/// Gradients of one row, given its component log-weights; see Kernels::mixture_nll.
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

}  // namespace

void CpuKernels::mixture_nll(const MixtureView& q, const float* z, float scale, float bound, double* nll,
                             float* d_logits, float* d_means, float* d_log_stds, float* rows) const {
  const size_t components = q.components, d = q.latent, width = q.component_stds ? components * d : d;
  for_ranges(q.n, 3 * components * (d + 20), [&](size_t begin, size_t end) {
    thread_local Scratch table_memory, row_memory;
    const StdTable stds(q, table_memory);
    double* weights = row_memory.get<double>(components + d);
    const NllRow row{components, d, stds, static_cast<double>(scale), static_cast<double>(bound)};
    for (size_t i = begin; i < end; ++i) {
      const float* logits = q.logits + i * components;
      const float* means = q.means + i * components * d;
      nll[i] = -log_density(logits, means, stds.view, components, d, z + i * d, weights);
      if (d_logits != nullptr)
        row.backward(logits, means, z + i * d, weights, weights + components, d_logits + i * components,
                     d_means + i * components * d, rows + i * width);
    }
  });
  if (d_logits == nullptr) return;
  column_sums(q.n, width, rows, d_log_stds);
  for (size_t j = 0; j < width; ++j) d_log_stds[j] *= scale;
}

void CpuKernels::squared_error(size_t n, size_t size, const float* prediction, const float* target,
                               float scale, float bound, double* error, float* gradient) const {
  const float factor = 2.0f * scale / static_cast<float>(size);
  for_ranges(n, 2 * size, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      double sum = 0;
      for (size_t j = i * size; j < (i + 1) * size; ++j) {
        const double difference = static_cast<double>(prediction[j]) - static_cast<double>(target[j]);
        sum += difference * difference;
        if (gradient == nullptr) continue;
        gradient[j] = factor * static_cast<float>(difference);
        if (bound > 0) gradient[j] *= bound - prediction[j] * prediction[j] / bound;
      }
      error[i] = sum / static_cast<double>(size);
    }
  });
}

void CpuKernels::weighted_sum(size_t n, const double* x, double x_factor, const double* y, double y_factor,
                              double* out) const {
  double x_sum = 0, y_sum = 0;
  for (size_t i = 0; i < n; ++i) x_sum += x[i];
  if (y != nullptr)
    for (size_t i = 0; i < n; ++i) y_sum += y[i];
  *out = x_factor * x_sum + (y != nullptr ? y_factor * y_sum : 0);
}

}  // namespace tr0n
