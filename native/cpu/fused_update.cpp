/// Kernels::optimise_linear: weight gradients of small batches go straight into Adam's update.
#include <cmath>

#include "cpu/adam.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

double dot(const float* a, const float* b, size_t size) {
  double sums[4] = {};
  size_t i = 0;
  for (; i + 4 <= size; i += 4)
    for (size_t lane = 0; lane < 4; ++lane)
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
  for (; i < size; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// ‖dyᵀx‖²_F + ‖Σ_rows dy‖² = Σ_ij (dy·dyᵀ)_ij ((x·xᵀ)_ij + 1): the bias is a weight of an input that is 1.
double gradient_square(size_t n, const LinearUpdate& layer) {
  thread_local Scratch scratch;
  double* rows = scratch.get<double>(n);
  for_ranges(n, n * (layer.in + layer.out) / 2, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      double sum = 0;
      for (size_t j = 0; j <= i; ++j)
        sum += (i == j ? 1 : 2) * dot(layer.dy + i * layer.out, layer.dy + j * layer.out, layer.out) *
               (dot(layer.x + i * layer.in, layer.x + j * layer.in, layer.in) + 1);
      rows[i] = sum;
    }
  });
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += rows[i];
  return total < 0 ? 0 : total;  // rounding may leave a tiny negative number; NaN stays
}

void update_layer(const AdamFactors& factors, float scale, size_t n, const LinearUpdate& layer) {
  for_ranges(layer.out, layer.in * (n + 2), [&](size_t begin, size_t end) {
    thread_local Scratch scratch;
    float* row = scratch.get<float>(layer.in);
    for (size_t o = begin; o < end; ++o) {
      std::fill_n(row, layer.in, 0.0f);
      double bias = 0;
      for (size_t i = 0; i < n; ++i) {
        const float adjoint = layer.dy[i * layer.out + o];
        const float* x = layer.x + i * layer.in;
        for (size_t j = 0; j < layer.in; ++j) row[j] += adjoint * x[j];
        bias += static_cast<double>(adjoint);
      }
      factors.apply(o * layer.in, (o + 1) * layer.in, scale, row, layer.weight);
      const float bias_gradient = static_cast<float>(bias);
      factors.apply(o, o + 1, scale, &bias_gradient, layer.bias);
    }
  });
}

}  // namespace

size_t CpuKernels::fused_update_rows() const { return 16; }

void CpuKernels::optimise_linear(const MatrixMode&, const AdamStep* step, size_t n,
                                 const LinearUpdate* layers, size_t count, const VectorUpdate* vectors,
                                 size_t vector_count, const double* loss, StepTotals* totals) const {
  double square = 0;
  for (size_t i = 0; i < count; ++i) square += gradient_square(n, layers[i]);
  for (size_t i = 0; i < vector_count; ++i) square += square_sum(vectors[i].gradient, vectors[i].size);
  const double norm = std::sqrt(square);
  if (!take_step(*loss, norm, *totals)) return;
  const AdamFactors factors(*step);
  const float scale = static_cast<float>(clip_coefficient(norm, step->clip));
  for (size_t i = 0; i < count; ++i) update_layer(factors, scale, n, layers[i]);
  for (size_t i = 0; i < vector_count; ++i)
    factors.apply(0, vectors[i].size, scale, vectors[i].gradient, vectors[i].arrays);
}

}  // namespace tr0n
