#pragma once
#include <cstddef>

#include "kernels/wide_access.cuh"

/// Panels: what a block keeps in shared memory of one factor of a product for one step of kDepth along the
/// summed index k, and how they get there from global memory.
///
/// Rows<R>     [R, kDepth], of a matrix whose rows run along k.     16 bytes of a row are a chunk.
/// Columns<C>  [kDepth, C], of a matrix whose columns run along k.  16 bytes of a step are a chunk.
/// Chunks are permuted within 128 bytes so that neither the copies nor the reads of tile_fp32.cuh and
/// tile_tf32.cuh conflict: eight threads that take 16 bytes each take them from different banks.
namespace tr0n::cuda {

constexpr unsigned kDepth = 16;

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kAsync = false;
#else
constexpr bool kAsync = true;  ///< cp.async: from global to shared memory past the registers
#endif

enum class Layout { rows, columns };

/// The part of a factor that a block multiplies next. Beyond `extent` rows (Layout::rows) or columns zeros
/// are taken, memory is not read.
struct Factor {
  const float* data;
  unsigned stride;  ///< of rows in memory, floats
  unsigned extent;
  bool vector;  ///< rows begin at multiples of 16 bytes and are whole chunks
};

template <Layout, unsigned Extent, unsigned Threads>
struct Panel;

template <unsigned R, unsigned Threads>
struct Panel<Layout::rows, R, Threads> {
  static constexpr Layout kLayout = Layout::rows;
  static constexpr unsigned kFloats = R * kDepth, kThreads = Threads;

  __device__ static unsigned place(unsigned row, unsigned chunk) {
    return row * kDepth + 4 * (chunk ^ (row >> 1 & 3));
  }
  /// k = 4·chunk … 4·chunk + 3 of a row.
  __device__ static float4 read(const float* panel, unsigned row, unsigned chunk) {
    return load_shared4(panel + place(row, chunk));
  }
  __device__ static void advance(Factor& factor) { factor.data += kDepth; }

  /// Calls visit(i, place, source, inside) for piece i of this thread's: pieces are Width floats, i in
  /// [0, ⌈R·kDepth / Width / Threads⌉).
  template <unsigned Width, class Visit>
  __device__ static void one(const Factor& factor, unsigned depth, unsigned i, const Visit& visit) {
    constexpr unsigned across = kDepth / Width;
    const unsigned row = threadIdx.x / across + i * (Threads / across), k = threadIdx.x % across * Width;
    if (R % (Threads / across) != 0 && row >= R) return;
    visit(i, place(row, k / 4) + k % 4, factor.data + size_t{row} * factor.stride + k,
          row < factor.extent && k < depth);
  }
};

template <unsigned C, unsigned Threads>
struct Panel<Layout::columns, C, Threads> {
  static constexpr Layout kLayout = Layout::columns;
  static constexpr unsigned kFloats = C * kDepth, kThreads = Threads;

  __device__ static unsigned place(unsigned k, unsigned chunk) { return k * C + 4 * (chunk ^ (k >> 2 & 3)); }
  /// Columns 4·chunk … 4·chunk + 3 of step k.
  __device__ static float4 read(const float* panel, unsigned k, unsigned chunk) {
    return load_shared4(panel + place(k, chunk));
  }
  __device__ static void advance(Factor& factor) { factor.data += kDepth * factor.stride; }

  template <unsigned Width, class Visit>
  __device__ static void one(const Factor& factor, unsigned depth, unsigned i, const Visit& visit) {
    constexpr unsigned across = C / Width, piece_rows = Threads / across > 0 ? Threads / across : 1;
    static_assert(Threads % across == 0 && kDepth % piece_rows == 0);
    const unsigned k = threadIdx.x / across + i * piece_rows, column = threadIdx.x % across * Width;
    visit(i, place(k, column / 4) + column % 4, factor.data + size_t{k} * factor.stride + column,
          k < depth && column < factor.extent);
  }
};

/// Pieces of Width floats of a panel, for each thread.
template <class P, unsigned Width>
constexpr unsigned kPieces = (P::kFloats / Width + P::kThreads - 1) / P::kThreads;

template <class P, unsigned Width>
__device__ inline void copy_pieces(float* panel, const Factor& factor, unsigned depth, unsigned i) {
  P::template one<Width>(factor, depth, i, [&](unsigned, unsigned place, const float* from, bool inside) {
    const auto to = static_cast<unsigned>(__cvta_generic_to_shared(panel + place));
    if constexpr (Width == 4)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(inside ? 16 : 0)
                   : "memory");
    else
      asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(inside ? 4 : 0)
                   : "memory");
  });
}

/// Starts the copy of a panel; what lies outside becomes zero.
template <class P>
__device__ inline void copy_panel(float* panel, const Factor& factor, unsigned depth) {
  if (factor.vector) {
#pragma unroll
    for (unsigned i = 0; i < kPieces<P, 4>; ++i) copy_pieces<P, 4>(panel, factor, depth, i);
  } else {
#pragma unroll 1
    for (unsigned i = 0; i < kPieces<P, 1>; ++i) copy_pieces<P, 1>(panel, factor, depth, i);
  }
}

/// The copies started since the last call are one group.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits for this thread's copies, but for the last `Groups` groups.
template <int Groups>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(Groups) : "memory");
}

/// A panel on its way through the registers, where there are no asynchronous copies.
template <class P>
struct StagedPanel {
  float values[4 * kPieces<P, 4>];

  __device__ void fetch(const Factor& factor, unsigned depth) {
    if (factor.vector) {
#pragma unroll
      for (unsigned i = 0; i < kPieces<P, 4>; ++i)
        P::template one<4>(factor, depth, i, [&](unsigned, unsigned, const float* from, bool inside) {
          const float4 v = inside ? load_global4(from) : float4{0, 0, 0, 0};
          values[4 * i] = v.x, values[4 * i + 1] = v.y, values[4 * i + 2] = v.z, values[4 * i + 3] = v.w;
        });
    } else {
#pragma unroll
      for (unsigned i = 0; i < kPieces<P, 1>; ++i)
        P::template one<1>(factor, depth, i, [&](unsigned, unsigned, const float* from, bool inside) {
          values[i] = inside ? *from : 0.0f;
        });
    }
  }

  __device__ void store(float* panel, bool vector) const {
    const Factor nowhere{nullptr, 0, 0, vector};
    if (vector) {
#pragma unroll
      for (unsigned i = 0; i < kPieces<P, 4>; ++i)
        P::template one<4>(nowhere, 0, i, [&](unsigned, unsigned place, const float*, bool) {
          store_shared4(panel + place,
                        float4{values[4 * i], values[4 * i + 1], values[4 * i + 2], values[4 * i + 3]});
        });
    } else {
#pragma unroll
      for (unsigned i = 0; i < kPieces<P, 1>; ++i)
        P::template one<1>(nowhere, 0, i,
                           [&](unsigned, unsigned place, const float*, bool) { panel[place] = values[i]; });
    }
  }
};

}  // namespace tr0n::cuda
