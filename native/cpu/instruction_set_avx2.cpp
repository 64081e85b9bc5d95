#include "cpu/instruction_set.h"
#include "cpu/instruction_set_region.h"

#if defined(TR0N_X86)
#include <immintrin.h>

TR0N_INSTRUCTIONS_BEGIN("avx2,fma")

namespace tr0n {
namespace {

struct Vector {
  using Type = __m256;
  using Four = __m128;
  static constexpr const char* name = "avx2";
  static constexpr size_t lanes = 8, rows = 6;  // 12 sums, 2 columns of b and 1 of a, of 16 registers
  static Type zero() { return _mm256_setzero_ps(); }
  static Type load(const float* p) { return _mm256_load_ps(p); }
  static Type load_any(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Type x) { _mm256_store_ps(p, x); }
  static void store_any(float* p, Type x) { _mm256_storeu_ps(p, x); }
  static Type broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static Type fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static Type mul(Type a, Type b) { return _mm256_mul_ps(a, b); }
  static Type add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type sub(Type a, Type b) { return _mm256_sub_ps(a, b); }
  static Type div(Type a, Type b) { return _mm256_div_ps(a, b); }
  static Type sqrt(Type a) { return _mm256_sqrt_ps(a); }
  static Four load4(const float* p) { return _mm_loadu_ps(p); }
  static void store4(float* p, Four x) { _mm_storeu_ps(p, x); }
  static void transpose4(Four& a, Four& b, Four& c, Four& d) { _MM_TRANSPOSE4_PS(a, b, c, d); }
};

}  // namespace
}  // namespace tr0n

#include "cpu/instruction_set_body.h"

TR0N_INSTRUCTIONS_END

namespace tr0n {
const InstructionSet* avx2_instructions() {
  static const bool supported = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return supported ? &kInstructionSet : nullptr;
}
}  // namespace tr0n

#else

namespace tr0n {
const InstructionSet* avx2_instructions() { return nullptr; }
}  // namespace tr0n

#endif
