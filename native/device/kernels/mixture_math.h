#pragma once
#include <cstddef>

namespace tr0n {

/// Scalar mathematics of the mixture head, on the host, in double and safe for any finite float.

double log_sum_exp(const float* x, size_t n);
double log_sum_exp(const double* x, size_t n);

/// The component at u in (0, 1) of the cumulative softmax of logits [K].
size_t choose_component(const float* logits, size_t components, double u);

/// Of σ = e^s + 1e-6, written so that neither overflows for large |s|.
struct StdTerms {
  double inverse;  ///< 1/σ
  double log;      ///< log σ
  double slope;    ///< d log σ / ds
};
StdTerms std_terms(float log_std);
float std_value(float log_std);  ///< σ, at most FLT_MAX

/// Σ_j ((z_j − mean_j)·inverse_std_j)², in an order fixed by d.
double scaled_distance(const float* z, const float* mean, const double* inverse_std, size_t d);

/// 1/σ [d] and Σ_j log σ_j [1], or, `by_component`, [K, d] and [K].
struct StdView {
  const double *inverse, *log_sums;
  bool by_component;
};

/// log Σ_k π_k N(z; μ_k, diag σ²) with logits [K], means [K, d]. On return `components` [K] holds log-weights
/// whose softmax over k are the responsibilities.
double log_density(const float* logits, const float* means, const StdView& stds, size_t component_count,
                   size_t d, const float* z, double* components);

}  // namespace tr0n
