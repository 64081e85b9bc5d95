#pragma once
#include "cpu/scratch.h"
#include "device/kernels.h"
#include "device/kernels/mixture_math.h"

namespace tr0n {

/// std_terms() of every dimension, or of every component's every dimension, in a thread's scratch memory. The
/// exponentials are paid once per range of rows.
struct StdTable {
  StdView view;
  const double* slope;  ///< as view.inverse
  size_t stride = 0;    ///< from one component's stds to the next one's

  StdTable(const MixtureView& q, Scratch& scratch) {
    const size_t d = q.latent, tables = q.component_stds ? q.components : 1;
    double* memory = scratch.get<double>(tables * (2 * d + 1));
    double* log_sums = memory + 2 * tables * d;
    for (size_t k = 0; k < tables; ++k) {
      log_sums[k] = 0;
      for (size_t j = k * d; j < (k + 1) * d; ++j) {
        const StdTerms terms = std_terms(q.log_stds[j]);
        memory[j] = terms.inverse;
        memory[tables * d + j] = terms.slope;
        log_sums[k] += terms.log;
      }
    }
    view = {memory, log_sums, q.component_stds};
    slope = memory + tables * d;
    if (q.component_stds) stride = d;
  }
};

/// σ of the mixture's components in a thread's scratch memory, [d] or [K, d].
class StdValues {
 public:
  StdValues(const MixtureView& q, Scratch& scratch) : stride_(q.component_stds ? q.latent : 0) {
    const size_t count = q.component_stds ? q.components * q.latent : q.latent;
    float* values = scratch.get<float>(count);
    for (size_t j = 0; j < count; ++j) values[j] = std_value(q.log_stds[j]);
    values_ = values;
  }
  const float* of(size_t component) const { return values_ + component * stride_; }

 private:
  const float* values_;
  size_t stride_;
};

}  // namespace tr0n
