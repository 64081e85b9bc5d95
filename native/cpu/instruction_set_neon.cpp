#include "cpu/instruction_set.h"
#include "cpu/instruction_set_region.h"

#if defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

namespace tr0n {
namespace {

/// Part of every 64-bit ARM processor: no region, no question to the processor.
struct Vector {
  using Type = float32x4_t;
  using Four = float32x4_t;
  static constexpr const char* name = "neon";
  static constexpr size_t lanes = 4, rows = 12;  // 24 sums, 2 columns of b and 1 of a, of 32 registers
  static Type zero() { return vdupq_n_f32(0.0f); }
  static Type load(const float* p) { return vld1q_f32(p); }
  static Type load_any(const float* p) { return vld1q_f32(p); }
  static void store(float* p, Type x) { vst1q_f32(p, x); }
  static void store_any(float* p, Type x) { vst1q_f32(p, x); }
  static Type broadcast(const float* p) { return vld1q_dup_f32(p); }
  static Type fma(Type a, Type b, Type c) { return vfmaq_f32(c, a, b); }
  static Type mul(Type a, Type b) { return vmulq_f32(a, b); }
  static Type add(Type a, Type b) { return vaddq_f32(a, b); }
  static Type sub(Type a, Type b) { return vsubq_f32(a, b); }
  static Type div(Type a, Type b) { return vdivq_f32(a, b); }
  static Type sqrt(Type a) { return vsqrtq_f32(a); }
  static Four load4(const float* p) { return vld1q_f32(p); }
  static void store4(float* p, Four x) { vst1q_f32(p, x); }
  static void transpose4(Four& a, Four& b, Four& c, Four& d) {
    const float32x4x2_t left = vtrnq_f32(a, b), right = vtrnq_f32(c, d);
    a = vcombine_f32(vget_low_f32(left.val[0]), vget_low_f32(right.val[0]));
    b = vcombine_f32(vget_low_f32(left.val[1]), vget_low_f32(right.val[1]));
    c = vcombine_f32(vget_high_f32(left.val[0]), vget_high_f32(right.val[0]));
    d = vcombine_f32(vget_high_f32(left.val[1]), vget_high_f32(right.val[1]));
  }
};

}  // namespace
}  // namespace tr0n

#include "cpu/instruction_set_body.h"

namespace tr0n {
const InstructionSet* neon_instructions() { return &kInstructionSet; }
}  // namespace tr0n

#else

namespace tr0n {
const InstructionSet* neon_instructions() { return nullptr; }
}  // namespace tr0n

#endif
