#pragma once
#include <cstddef>
#include <cstdint>

#include "device/kernels/linear.h"
#include "device/kernels/optimise.h"

namespace tr0n {

/// A layer whose update is made from x [n, in] and dy [n, out] directly.
struct LinearUpdate {
  size_t in = 0, out = 0;
  const float *x = nullptr, *dy = nullptr;
  AdamArrays weight, bias;  ///< [out, in], [out]
};

/// Parameters outside of layers, with their gradient [size].
struct VectorUpdate {
  size_t size = 0;
  const float* gradient = nullptr;
  AdamArrays arrays;
};

/// The same step without materialised gradients of layers: the norm from the Gram matrices, ‖dyᵀx‖²_F = Σ_ij
/// (dy·dyᵀ)_ij (x·xᵀ)_ij, and gradients computed where they are used. `vectors` may be null with 0. Moves,
/// per layer, 2·n·(in + out) + 6·in·out: worth it for small n.
struct OptimiseLinear {
  MatrixMode mode;
  const AdamStep* step = nullptr;
  size_t n = 0;
  const LinearUpdate* layers = nullptr;
  size_t count = 0;
  const VectorUpdate* vectors = nullptr;
  size_t vector_count = 0;
  const double* loss = nullptr;
  StepTotals* totals = nullptr;
};

/// A step of Adam on linear layers whose gradients are never written down.
class LinearUpdateKernels {
 public:
  virtual ~LinearUpdateKernels() = default;
  virtual void optimise(const OptimiseLinear& a) const = 0;
  /// The largest n for which it is faster than writing gradients and OptimiseKernels::step().
  virtual size_t most_rows() const = 0;
};

}  // namespace tr0n
