#include "cpu/gemm.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "core/thread_pool.h"
#include "cpu/scratch.h"
#include "cpu/tanh.h"

namespace tr0n {
namespace {

// A block of a (192·256 floats) stays in the L2 cache while a panel of b (256·16) stays in L1.
constexpr size_t kBlockDepth = 256, kMaxRows = 192, kMaxColumns = 256;
constexpr size_t kSerialProducts = 2'000'000;  // multiply-adds that one thread does in about 50 microseconds

struct Problem {
  size_t m, n, k;
  MatrixView a, b;
  float* c;
  bool accumulate;
  const Epilogue* epilogue;
  const MicroKernel* micro;
};

/// Copies `lines` lines of a matrix, `depth` elements each, into panels of `width` lines,
/// [panel][depth][width], the last panel filled up with zeros: the inner loop then always runs over whole
/// register tiles.
void pack(const float* from, size_t line_stride, size_t depth_stride, size_t lines, size_t depth,
          size_t width, float* to) {
  for (size_t line = 0; line < lines; line += width, to += width * depth) {
    const size_t present = std::min(width, lines - line);
    const float* source = from + line * line_stride;
    if (line_stride == 1) {
      for (size_t k = 0; k < depth; ++k) {
        std::memcpy(to + k * width, source + k * depth_stride, present * sizeof(float));
        for (size_t i = present; i < width; ++i) to[k * width + i] = 0.0f;
      }
      continue;
    }
    for (size_t k0 = 0; k0 < depth; k0 += 16) {  // a cache line of each source line at a time
      const size_t k1 = std::min(depth, k0 + 16);
      for (size_t i = 0; i < present; ++i)
        for (size_t k = k0; k < k1; ++k) to[k * width + i] = source[i * line_stride + k * depth_stride];
      for (size_t i = present; i < width; ++i)
        for (size_t k = k0; k < k1; ++k) to[k * width + i] = 0.0f;
    }
  }
}

void finish(const Problem& p, size_t row, size_t column0, size_t column1) {
  const Epilogue& e = *p.epilogue;
  float* c = p.c + row * p.n;
  if (e.bias != nullptr)
    for (size_t j = column0; j < column1; ++j) c[j] += e.bias[j];
  if (e.activation == Activation::relu)
    for (size_t j = column0; j < column1; ++j) c[j] = c[j] < 0.0f ? 0.0f : c[j];  // NaN stays
  if (e.activation == Activation::tanh_bound) bounded_tanh(c + column0, column1 - column0, e.bound);
  if (e.activated != nullptr) std::copy(c + column0, c + column1, e.activated + row * p.n + column0);
  if (e.residual != nullptr)
    for (size_t j = column0; j < column1; ++j) c[j] += e.residual[row * p.n + j];
}

/// Rows [i0, i1), columns [j0, j1) of the product, whole depth.
void compute_tile(const Problem& p, size_t i0, size_t i1, size_t j0, size_t j1) {
  thread_local Scratch scratch;
  constexpr size_t padding = 16;
  float* packed_a = scratch.get<float>((kMaxRows + padding + kMaxColumns + padding) * kBlockDepth);
  float* packed_b = packed_a + (kMaxRows + padding) * kBlockDepth;
  const size_t mr = p.micro->rows, nr = p.micro->columns;
  for (size_t k0 = 0; k0 < p.k; k0 += kBlockDepth) {
    const size_t depth = std::min(kBlockDepth, p.k - k0);
    const bool load = p.accumulate || k0 > 0;
    pack(p.a.data + i0 * p.a.row_stride + k0 * p.a.column_stride, p.a.row_stride, p.a.column_stride, i1 - i0,
         depth, mr, packed_a);
    pack(p.b.data + k0 * p.b.row_stride + j0 * p.b.column_stride, p.b.column_stride, p.b.row_stride, j1 - j0,
         depth, nr, packed_b);
    for (size_t j = j0; j < j1; j += nr) {
      const float* panel_b = packed_b + (j - j0) * depth;
      for (size_t i = i0; i < i1; i += mr) {
        const float* panel_a = packed_a + (i - i0) * depth;
        const size_t rows = std::min(mr, i1 - i), columns = std::min(nr, j1 - j);
        float* c = p.c + i * p.n + j;
        if (rows == mr && columns == nr) {
          p.micro->run(depth, panel_a, panel_b, c, p.n, load);
          continue;
        }
        float edge[16 * 16] = {};
        if (load)
          for (size_t r = 0; r < rows; ++r) std::copy(c + r * p.n, c + r * p.n + columns, edge + r * nr);
        p.micro->run(depth, panel_a, panel_b, edge, nr, load);
        for (size_t r = 0; r < rows; ++r) std::copy(edge + r * nr, edge + r * nr + columns, c + r * p.n);
      }
    }
  }
  if (p.k == 0 && !p.accumulate)
    for (size_t i = i0; i < i1; ++i) std::fill(p.c + i * p.n + j0, p.c + i * p.n + j1, 0.0f);
  if (p.epilogue != nullptr)
    for (size_t i = i0; i < i1; ++i) finish(p, i, j0, j1);
}

size_t parts(size_t n, size_t part) { return (n + part - 1) / part; }

}  // namespace

const MicroKernel& best_micro_kernel() {
  const MicroKernel* avx2 = avx2_micro_kernel();
  return avx2 != nullptr ? *avx2 : portable_micro_kernel();
}

void gemm(size_t m, size_t n, size_t k, const MatrixView& a, const MatrixView& b, float* c, bool accumulate,
          const Epilogue* epilogue, const MicroKernel& micro) {
  if (m == 0 || n == 0) return;
  const Problem problem{m, n, k, a, b, c, accumulate, epilogue, &micro};
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = m * n * std::max<size_t>(k, 1) < kSerialProducts ? 1 : pool.size();
  // Smaller tiles until every thread has a few, but not so small that packing shows.
  size_t rows = kMaxRows, columns = kMaxColumns;
  while (threads > 1 && parts(m, rows) * parts(n, columns) < 3 * threads && rows > 48) {
    if (parts(n, columns / 2) > parts(n, columns) && columns > 64)
      columns /= 2;
    else
      rows /= 2;
  }
  const size_t across = parts(n, columns), tiles = parts(m, rows) * across;
  const auto tile = [&](size_t index) {
    const size_t i0 = index / across * rows, j0 = index % across * columns;
    compute_tile(problem, i0, std::min(m, i0 + rows), j0, std::min(n, j0 + columns));
  };
  if (threads == 1)
    for (size_t i = 0; i < tiles; ++i) tile(i);
  else
    pool.parallel_for(tiles, std::ref(tile));
}

}  // namespace tr0n
