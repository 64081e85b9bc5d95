#include "cpu/gemm.h"

namespace tr0n {
namespace {

constexpr size_t kRows = 4, kColumns = 8;

void run(size_t depth, const float* a, const float* b, float* c, size_t ldc, bool load) {
  float sum[kRows][kColumns];
  for (size_t i = 0; i < kRows; ++i)
    for (size_t j = 0; j < kColumns; ++j) sum[i][j] = load ? c[i * ldc + j] : 0.0f;
  for (size_t k = 0; k < depth; ++k, a += kRows, b += kColumns)
    for (size_t i = 0; i < kRows; ++i)
      for (size_t j = 0; j < kColumns; ++j) sum[i][j] += a[i] * b[j];
  for (size_t i = 0; i < kRows; ++i)
    for (size_t j = 0; j < kColumns; ++j) c[i * ldc + j] = sum[i][j];
}

}  // namespace

const MicroKernel& portable_micro_kernel() {
  static const MicroKernel kernel{kRows, kColumns, run};
  return kernel;
}

}  // namespace tr0n
