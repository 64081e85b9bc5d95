#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/reduce.cuh"

// Kernels over independent rows [n, size]: blockDim.x threads share a row, blockDim.y rows share a block. A
// thread takes four neighbouring elements at a time, the four of one Philox block. How many threads share a
// row follows from `size` alone (cuda/launch/rows.h), so that a row's sums do not depend on how many rows
// there are.
namespace tr0n::cuda {

__device__ inline size_t row_of_block() { return static_cast<size_t>(blockIdx.x) * blockDim.y + threadIdx.y; }

/// Whether rows of this size can be moved in vectors: every pointer and every row is aligned to 16 bytes.
template <class... Pointers>
__device__ inline bool vectors_fit(size_t size, const Pointers*... pointers) {
  return (size & 3) == 0 && ((reinterpret_cast<uintptr_t>(pointers) | ...) & 15) == 0;
}

/// Elements at … at + 3 of a row; 0 beyond its end.
__device__ inline float4 load4(const float* row, size_t at, size_t size, bool vector) {
  if (vector) return *reinterpret_cast<const float4*>(row + at);
  float4 x = make_float4(row[at], 0, 0, 0);
  if (at + 1 < size) x.y = row[at + 1];
  if (at + 2 < size) x.z = row[at + 2];
  if (at + 3 < size) x.w = row[at + 3];
  return x;
}

__device__ inline void store4(float* row, size_t at, size_t size, bool vector, float4 x) {
  if (vector) {
    *reinterpret_cast<float4*>(row + at) = x;
    return;
  }
  row[at] = x.x;
  if (at + 1 < size) row[at + 1] = x.y;
  if (at + 2 < size) row[at + 2] = x.z;
  if (at + 3 < size) row[at + 3] = x.w;
}

/// f of each of the four elements.
template <class F>
__device__ inline float4 map4(F f, float4 a) {
  return make_float4(f(a.x), f(a.y), f(a.z), f(a.w));
}
template <class F>
__device__ inline float4 map4(F f, float4 a, float4 b) {
  return make_float4(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w));
}
template <class F>
__device__ inline float4 map4(F f, float4 a, float4 b, float4 c) {
  return make_float4(f(a.x, b.x, c.x), f(a.y, b.y, c.y), f(a.z, b.z, c.z), f(a.w, b.w, c.w));
}

__device__ inline double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

/// Σ x² in double: a float's square may overflow or vanish, and norms decide what is clipped.
__device__ inline double square_sum(float4 x) {
  return (square(x.x) + square(x.y)) + (square(x.z) + square(x.w));
}

/// a·b + c with both operations rounded, as the CPU computes it.
__device__ inline float multiply_add(float a, float b, float c) { return __fadd_rn(__fmul_rn(a, b), c); }

}  // namespace tr0n::cuda
