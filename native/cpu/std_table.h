#pragma once
#include "core/mixture_math.h"
#include "cpu/scratch.h"

namespace tr0n {

/// std_terms() of every dimension, in a thread's scratch memory. The d exponentials are paid once per range
/// of rows.
struct StdTable {
  const double* inverse;
  const double* slope;
  double log_sum = 0;

  StdTable(const float* log_stds, size_t d, Scratch& scratch) {
    double* memory = scratch.get<double>(2 * d);
    for (size_t j = 0; j < d; ++j) {
      const StdTerms terms = std_terms(log_stds[j]);
      memory[j] = terms.inverse;
      memory[d + j] = terms.slope;
      log_sum += terms.log;
    }
    inverse = memory;
    slope = memory + d;
  }
};

}  // namespace tr0n
