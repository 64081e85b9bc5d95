#pragma once

namespace tr0n::selftest {

/// Arithmetic of one multiprocessor in one clock: single-precision FLOPs, and dense TF32 FLOPs of its tensor
/// cores (0: none). From NVIDIA's architecture white papers.
struct Arithmetic {
  double single, tensor;
};

inline Arithmetic arithmetic_of(int compute_capability) {
  switch (compute_capability) {
    case 75:
      return {128, 0};  // Turing
    case 80:
      return {128, 1024};  // A100
    case 86:
      return {256, 256};  // GeForce 30, A10
    case 87:
      return {256, 256};  // Orin
    case 89:
      return {256, 256};  // GeForce 40, L4, L40
    case 90:
      return {256, 2048};  // H100
    case 100:
      return {256, 4096};  // B200
    case 103:
      return {256, 4096};  // B300
    case 120:
      return {256, 256};  // GeForce 50
    default:
      return {0, 0};
  }
}

}  // namespace tr0n::selftest
