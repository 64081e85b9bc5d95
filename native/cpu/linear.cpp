#include <algorithm>

#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace tr0n {

void CpuKernels::linear_forward(const MatrixMode&, size_t n, const LinearForward* layers,
                                size_t count) const {
  for (const LinearForward* l = layers; l != layers + count; ++l) {
    const Epilogue epilogue{l->bias, l->activation, l->bound, l->residual, l->activated};
    gemm(n, l->out, l->in, {l->x, l->in, 1}, {l->weight, 1, l->in}, l->y, false, &epilogue);
  }
}

void CpuKernels::linear_backward_input(const MatrixMode&, size_t n, const LinearAdjoint* layers, size_t count,
                                       const LinearInput& input) const {
  float* dx = input.dx != nullptr ? input.dx : input.masked;
  const size_t size = n * input.in;
  if (input.add != nullptr && input.add != dx) std::copy_n(input.add, size, dx);
  if (input.add == nullptr && count == 0) std::fill_n(dx, size, 0.0f);
  for (size_t i = 0; i < count; ++i)
    gemm(n, input.in, layers[i].out, {layers[i].dy, layers[i].out, 1}, {layers[i].weight, input.in, 1}, dx,
         i > 0 || input.add != nullptr, nullptr);
  if (input.masked == nullptr) return;
  for_ranges(size, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) input.masked[i] = input.activated[i] > 0.0f ? dx[i] : 0.0f;
  });
}

void CpuKernels::linear_backward_weight(const MatrixMode&, size_t n, const LinearGradient* layers,
                                        size_t count) const {
  for (const LinearGradient* l = layers; l != layers + count; ++l) {
    gemm(l->out, l->in, n, {l->dy, 1, l->out}, {l->x, l->in, 1}, l->dweight, false, nullptr);
    column_sums(n, l->out, l->dy, l->dbias);
  }
}

void column_sums(size_t rows, size_t columns, const float* x, float* sums) {
  for_ranges(columns, rows, [&](size_t begin, size_t end) {
    thread_local Scratch scratch;
    double* sum = scratch.get<double>(end - begin);
    std::fill(sum, sum + (end - begin), 0.0);
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = begin; j < end; ++j) sum[j - begin] += static_cast<double>(x[i * columns + j]);
    for (size_t j = begin; j < end; ++j) sums[j] = static_cast<float>(sum[j - begin]);
  });
}

}  // namespace tr0n
