#pragma once
#include "kernels/tile_panels.cuh"

namespace tr0n::cuda {

/// The product of two panels in float32: a thread holds TM × TN sums, which grow by one fused multiply-add
/// after the other in the order of k, so that a sum's bits do not depend on the shape of the tile.
/// A warp is 4 × 8 threads. Of panels of rows a thread takes every (M / TM)th row, of panels of columns every
/// (M / TM)th chunk of four.
/// Per step of 16: 4·(TM + TN) reads of 16 bytes for 16·TM·TN multiply-adds.
template <class Tile, unsigned TM, unsigned TN>
class Fp32 {
  using A = typename Tile::A;
  using B = typename Tile::B;
  static constexpr unsigned TX = Tile::kN / TN, TY = Tile::kM / TM, kWarpsX = TX / 8;
  static_assert(TX * TY == Tile::kThreads && TX % 8 == 0 && TY % 4 == 0);

 public:
  static constexpr unsigned kSums = TM * TN;
  static constexpr unsigned kVector = B::kLayout == Layout::rows ? 1 : 4;  ///< columns side by side
  float sums[kSums] = {};

  __device__ void add(const float* a, const float* b) {
    if constexpr (A::kLayout == Layout::rows) {
#pragma unroll 1
      for (unsigned chunk = 0; chunk < kDepth / 4; ++chunk) {
        float4 left[TM];
#pragma unroll
        for (unsigned i = 0; i < TM; ++i) left[i] = A::read(a, row(i), chunk);
        if constexpr (B::kLayout == Layout::rows) {
#pragma unroll
          for (unsigned j = 0; j < TN; ++j) {
            const float4 right = B::read(b, column(j), chunk);
#pragma unroll
            for (unsigned i = 0; i < TM; ++i) {
              float& sum = sums[i * TN + j];
              sum = fmaf(left[i].x, right.x, sum);
              sum = fmaf(left[i].y, right.y, sum);
              sum = fmaf(left[i].z, right.z, sum);
              sum = fmaf(left[i].w, right.w, sum);
            }
          }
        } else {
#pragma unroll
          for (unsigned e = 0; e < 4; ++e) {
            float right[TN];
            read_columns<B, TN>(b, 4 * chunk + e, x(), TX, right);
#pragma unroll
            for (unsigned i = 0; i < TM; ++i) {
              const float value = e == 0 ? left[i].x : e == 1 ? left[i].y : e == 2 ? left[i].z : left[i].w;
#pragma unroll
              for (unsigned j = 0; j < TN; ++j) sums[i * TN + j] = fmaf(value, right[j], sums[i * TN + j]);
            }
          }
        }
      }
    } else {
      static_assert(B::kLayout == Layout::columns);
#pragma unroll 1
      for (unsigned k = 0; k < kDepth; k += 2) {
#pragma unroll
        for (unsigned e = 0; e < 2; ++e) {
          float left[TM], right[TN];
          read_columns<A, TM>(a, k + e, y(), TY, left);
          read_columns<B, TN>(b, k + e, x(), TX, right);
#pragma unroll
          for (unsigned i = 0; i < TM; ++i) {
#pragma unroll
            for (unsigned j = 0; j < TN; ++j) sums[i * TN + j] = fmaf(left[i], right[j], sums[i * TN + j]);
          }
        }
      }
    }
  }

  /// visit(row − First, column, values) for the sums of Rows rows from First on: kVector sums side by side.
  template <unsigned First, unsigned Rows, class Visit>
  __device__ void each(const Visit& visit) const {
    // Sum i of a thread lies in the rows [span·k, span·(k + 1)).
    constexpr unsigned group = A::kLayout == Layout::rows ? 1 : 4, span = group * TY;
    static_assert(Rows % span == 0);
#pragma unroll
    for (unsigned i = 0; i < TM; ++i) {
      if (i / group * span / Rows != First / Rows) continue;
#pragma unroll
      for (unsigned j = 0; j < TN; j += kVector) {
        float values[kVector];
#pragma unroll
        for (unsigned e = 0; e < kVector; ++e) values[e] = sums[i * TN + j + e];
        visit(row(i) - First, column(j), values);
      }
    }
  }

  /// For tile_output.cuh: a warp writes 4 rows × 8 columns, or a chunk of one row for each of eight lanes.
  __device__ static unsigned output_permutation(unsigned row) { return kVector == 1 ? 2 * (row % 4) : 0; }

 private:
  __device__ static unsigned x() { return threadIdx.x / 32 % kWarpsX * 8 + threadIdx.x % 8; }
  __device__ static unsigned y() { return threadIdx.x / 32 / kWarpsX * 4 + threadIdx.x % 32 / 8; }
  __device__ static unsigned row(unsigned i) {
    return A::kLayout == Layout::rows ? y() + TY * i : 4 * (y() + TY * (i / 4)) + i % 4;
  }
  __device__ static unsigned column(unsigned j) {
    return B::kLayout == Layout::rows ? x() + TX * j : 4 * (x() + TX * (j / 4)) + j % 4;
  }

  template <class P, unsigned Count>
  __device__ static void read_columns(const float* panel, unsigned k, unsigned at, unsigned step,
                                      float (&out)[Count]) {
    static_assert(Count % 4 == 0);
#pragma unroll
    for (unsigned j = 0; j < Count; j += 4) {
      const float4 v = P::read(panel, k, at + step * (j / 4));
      out[j] = v.x, out[j + 1] = v.y, out[j + 2] = v.z, out[j + 3] = v.w;
    }
  }
};

}  // namespace tr0n::cuda
