#pragma once
#include <cstddef>

#include "core/kernels.h"

namespace tr0n {

/// A read-only matrix with any strides; transposing swaps them.
struct MatrixView {
  const float* data;
  size_t row_stride, column_stride;
};

/// What is done to each element of a product once its sum is complete; see Kernels::linear_forward. Arrays
/// have the product's shape, bias one element a column.
struct Epilogue {
  const float* bias = nullptr;
  Activation activation = Activation::none;
  float bound = 0;
  const float* residual = nullptr;
  float* activated = nullptr;
};

/// The inner loop over a register tile: c [rows, columns] (row stride ldc) = (load ? c : 0) + Σ_k a[k]·b[k]ᵀ,
/// with a packed [depth, rows], b packed [depth, columns], both aligned to 64 bytes.
struct MicroKernel {
  size_t rows, columns;
  void (*run)(size_t depth, const float* a, const float* b, float* c, size_t ldc, bool load);
};

const MicroKernel& portable_micro_kernel();
const MicroKernel* avx2_micro_kernel();  ///< null where the processor lacks AVX2 or FMA
const MicroKernel& best_micro_kernel();

/// c [m, n] dense = a [m, k]·b [k, n], or added to c where `accumulate`; then the epilogue, which may be
/// null. Every element's sum runs over k upwards in one chain of operations that does not depend on its place
/// in a tile, on m, n, or on the number of threads: rows equal bit for bit whatever else is in the call.
void gemm(size_t m, size_t n, size_t k, const MatrixView& a, const MatrixView& b, float* c, bool accumulate,
          const Epilogue* epilogue, const MicroKernel& micro = best_micro_kernel());

}  // namespace tr0n
