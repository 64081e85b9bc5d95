#pragma once
#include "kernels/tile_panels.cuh"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
namespace tr0n::cuda {

/// The product of two panels on tensor cores: factors rounded to TF32 (10 bits of mantissa, ties away from
/// zero), sums in float32, by mma.m16n8k8. WM × WN warps.
///
/// In an mma, lane 4g + t gives of the left factor (rows g, g + 8) × (k t, t + 4), of the right one (k t, t +
/// 4) × (column g), and holds of the sums (rows g, g + 8) × (columns 2t, 2t + 1). A sum does not care which k
/// comes in which place, nor an mma which row of a matrix stands in which of its own, so that these are
/// chosen for reads of 16 bytes:
/// - lane t's two places of two mmas are k = 4t … 4t + 3 of a step of 16, a chunk of a panel of rows;
/// - of a panel of columns, step 4t + i, a chunk goes to four places of g: lane g takes chunk s(g) = g/2 +
///   4·(g mod 2) of 32 columns, which leaves a lane four columns side by side, of chunks t and t + 4.
template <class Tile, unsigned WM, unsigned WN>
class Tf32 {
  using A = typename Tile::A;
  using B = typename Tile::B;
  static constexpr unsigned kRows = Tile::kM / WM, kColumns = Tile::kN / WN;
  static constexpr unsigned MT = kRows / 16, NT = kColumns / 8;
  static_assert(WM * WN * 32 == Tile::kThreads);
  static_assert(A::kLayout == Layout::rows || kRows % 32 == 0);
  static_assert(B::kLayout == Layout::rows || kColumns % 32 == 0);

 public:
  static constexpr unsigned kSums = MT * NT * 4;
  static constexpr unsigned kVector = B::kLayout == Layout::rows ? 2 : 4;  ///< columns side by side
  float sums[kSums] = {};

  __device__ void add(const float* a, const float* b) {
    if constexpr (A::kLayout == Layout::rows) {
      unsigned left[2][MT][4];
#pragma unroll
      for (unsigned m = 0; m < MT; ++m) read_row_pair(a, row0() + 16 * m + group(), left[0][m], left[1][m]);
      if constexpr (B::kLayout == Layout::rows) {
#pragma unroll
        for (unsigned n = 0; n < NT; ++n) {
          const float4 v = B::read(b, column0() + 8 * n + group(), place());
          const unsigned right[2][2] = {{rounded(v.x), rounded(v.y)}, {rounded(v.z), rounded(v.w)}};
#pragma unroll
          for (unsigned half = 0; half < 2; ++half) {
#pragma unroll
            for (unsigned m = 0; m < MT; ++m) multiply(sums + (m * NT + n) * 4, left[half][m], right[half]);
          }
        }
      } else {
#pragma unroll
        for (unsigned half = 0; half < 2; ++half) multiply_columns(b, half, left[half]);
      }
    } else {
      static_assert(B::kLayout == Layout::columns);
#pragma unroll
      for (unsigned half = 0; half < 2; ++half) {
        unsigned left[MT][4];
#pragma unroll
        for (unsigned i = 0; i < 2; ++i) {
#pragma unroll
          for (unsigned m = 0; m < MT; m += 2) {
            const float4 v = A::read(a, 4 * place() + 2 * half + i, row0() / 4 + 4 * m + spread());
            left[m][2 * i] = rounded(v.x), left[m][2 * i + 1] = rounded(v.y);
            left[m + 1][2 * i] = rounded(v.z), left[m + 1][2 * i + 1] = rounded(v.w);
          }
        }
        multiply_columns(b, half, left);
      }
    }
  }

  /// visit(row − First, column, values) for the sums of Rows rows from First on: kVector sums side by side.
  template <unsigned First, unsigned Rows, class Visit>
  __device__ void each(const Visit& visit) const {
    static_assert(Rows % kRows == 0);
    if (row0() / Rows != First / Rows) return;
    const unsigned from = row0() - First;
#pragma unroll
    for (unsigned m = 0; m < MT; ++m) {
#pragma unroll
      for (unsigned h = 0; h < 2; ++h) {
        const unsigned row = A::kLayout == Layout::rows ? from + 16 * m + group() + 8 * h
                                                        : from + m / 2 * 32 + 4 * spread() + m % 2 * 2 + h;
        if constexpr (B::kLayout == Layout::rows) {
#pragma unroll
          for (unsigned n = 0; n < NT; ++n) {
            const float* pair = sums + (m * NT + n) * 4 + 2 * h;
            const float values[2] = {pair[0], pair[1]};
            visit(row, column0() + 8 * n + 2 * place(), values);
          }
        } else {
#pragma unroll
          for (unsigned n = 0; n < NT; n += 4) {
#pragma unroll
            for (unsigned c = 0; c < 2; ++c) {
              const float* first = sums + (m * NT + n) * 4 + 2 * h + c;
              const float values[4] = {first[0], first[4], first[8], first[12]};
              visit(row, column0() + 8 * n + 16 * c + 4 * place(), values);
            }
          }
        }
      }
    }
  }

  /// For tile_output.cuh: half a warp writes 8 columns of four rows, or a quarter four chunks of two rows,
  /// which are neighbours or 16 apart.
  __device__ static unsigned output_permutation(unsigned row) {
    return kVector == 2 ? 2 * (row % 4) : 4 * (A::kLayout == Layout::rows ? row % 2 : row / 16 % 2);
  }

 private:
  __device__ static unsigned group() { return threadIdx.x % 32 / 4; }              // g
  __device__ static unsigned place() { return threadIdx.x % 4; }                   // t
  __device__ static unsigned spread() { return group() / 2 + 4 * (group() % 2); }  // s(g)
  __device__ static unsigned row0() { return threadIdx.x / 32 / WN * kRows; }
  __device__ static unsigned column0() { return threadIdx.x / 32 % WN * kColumns; }

  __device__ static unsigned rounded(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
  }

  /// Rows `row` and `row` + 8 of the left factor for both mmas of a step.
  __device__ static void read_row_pair(const float* a, unsigned row, unsigned (&first)[4],
                                       unsigned (&second)[4]) {
#pragma unroll
    for (unsigned h = 0; h < 2; ++h) {
      const float4 v = A::read(a, row + 8 * h, place());
      first[h] = rounded(v.x), first[2 + h] = rounded(v.y);
      second[h] = rounded(v.z), second[2 + h] = rounded(v.w);
    }
  }

  __device__ void multiply_columns(const float* b, unsigned half, const unsigned (&left)[MT][4]) {
#pragma unroll
    for (unsigned n = 0; n < NT; n += 4) {
      unsigned right[4][2];
#pragma unroll
      for (unsigned i = 0; i < 2; ++i) {
        const float4 v = B::read(b, 4 * place() + 2 * half + i, column0() / 4 + 2 * n + spread());
        right[0][i] = rounded(v.x), right[1][i] = rounded(v.y);
        right[2][i] = rounded(v.z), right[3][i] = rounded(v.w);
      }
#pragma unroll
      for (unsigned e = 0; e < 4; ++e) {
#pragma unroll
        for (unsigned m = 0; m < MT; ++m) multiply(sums + (m * NT + n + e) * 4, left[m], right[e]);
      }
    }
  }

  __device__ static void multiply(float* sum, const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

}  // namespace tr0n::cuda
#endif
