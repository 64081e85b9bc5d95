#include <cmath>

#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace tr0n {

void CpuKernels::linear_forward(const LinearShape& shape, const float* x, const float* weight,
                                const float* bias, Activation activation, float bound, const float* residual,
                                float* activated, float* y) const {
  const Epilogue epilogue{bias, activation, bound, residual, activated};
  gemm(shape.n, shape.out, shape.in, {x, shape.in, 1}, {weight, 1, shape.in}, y, false, &epilogue);
}

void CpuKernels::activation_backward(size_t count, Activation activation, float bound, const float* activated,
                                     const float* dy, float* dx) const {
  for_ranges(count, 1, [&](size_t begin, size_t end) {
    switch (activation) {
      case Activation::none:
        for (size_t i = begin; i < end; ++i) dx[i] = dy[i];
        break;
      case Activation::relu:
        for (size_t i = begin; i < end; ++i) dx[i] = activated[i] > 0.0f ? dy[i] : 0.0f;
        break;
      case Activation::tanh_bound:
        for (size_t i = begin; i < end; ++i) {
          const float t = activated[i] / bound;
          dx[i] = dy[i] * bound * (1.0f - t * t);
        }
        break;
    }
  });
}

void CpuKernels::linear_backward_input(const LinearShape& shape, const float* dy, const float* weight,
                                       float* dx, bool accumulate) const {
  gemm(shape.n, shape.in, shape.out, {dy, shape.out, 1}, {weight, shape.in, 1}, dx, accumulate, nullptr);
}

void CpuKernels::linear_backward_weight(const LinearShape& shape, const float* x, const float* dy,
                                        float* dweight, float* dbias) const {
  gemm(shape.out, shape.in, shape.n, {dy, 1, shape.out}, {x, shape.in, 1}, dweight, false, nullptr);
  column_sums(shape.n, shape.out, dy, dbias);
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
