#include "cpu/gemm.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

namespace tr0n {
namespace {

constexpr size_t kRows = 6,
                 kColumns = 16;  // 12 accumulators, 2 columns of b and 1 of a fill the 16 registers

__attribute__((target("avx2,fma"))) void run(size_t depth, const float* a, const float* b, float* c,
                                             size_t ldc, bool load) {
  __m256 sum[kRows][2];
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i) {
    sum[i][0] = load ? _mm256_loadu_ps(c + i * ldc) : _mm256_setzero_ps();
    sum[i][1] = load ? _mm256_loadu_ps(c + i * ldc + 8) : _mm256_setzero_ps();
  }
  for (size_t k = 0; k < depth; ++k, a += kRows, b += kColumns) {
    const __m256 left = _mm256_load_ps(b), right = _mm256_load_ps(b + 8);
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i) {
      const __m256 factor = _mm256_broadcast_ss(a + i);
      sum[i][0] = _mm256_fmadd_ps(factor, left, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(factor, right, sum[i][1]);
    }
  }
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i) {
    _mm256_storeu_ps(c + i * ldc, sum[i][0]);
    _mm256_storeu_ps(c + i * ldc + 8, sum[i][1]);
  }
}

}  // namespace

const MicroKernel* avx2_micro_kernel() {
  static const MicroKernel kernel{kRows, kColumns, run};
  static const bool supported = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return supported ? &kernel : nullptr;
}

}  // namespace tr0n

#else

namespace tr0n {
const MicroKernel* avx2_micro_kernel() { return nullptr; }
}  // namespace tr0n

#endif
