#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"
#include "cpu/tanh.h"

namespace tr0n {
namespace {

/// A thread's arrays for a group of layers: kernels do not allocate.
template <class T>
T* group(size_t count) {
  thread_local Scratch scratch;
  T* items = scratch.get<T>(count);
  for (size_t i = 0; i < count; ++i) items[i] = T{};
  return items;
}

void finish_forward(const void* context, const Part& part) {
  const LinearLayer& layer = *static_cast<const LinearLayer*>(context);
  const bool smooth = layer.activation == Activation::tanh_bound;
  for (size_t i = 0; i < part.rows; ++i) {
    const size_t at = (part.row + i) * layer.out + part.column;
    float* y = layer.y + at;
    float* activated = layer.activated != nullptr ? layer.activated + at : nullptr;
    const float* residual = layer.residual != nullptr ? layer.residual + at : nullptr;
    instruction_set().finish_forward(part.columns, part.sums + i * part.stride, layer.bias + part.column,
                                     layer.activation == Activation::relu, smooth ? nullptr : residual,
                                     smooth ? nullptr : activated, y);
    if (!smooth) continue;
    bounded_tanh(y, part.columns, layer.bound);
    if (activated != nullptr) std::copy_n(y, part.columns, activated);
    for (size_t j = 0; residual != nullptr && j < part.columns; ++j) y[j] += residual[j];
  }
}

void finish_input(const void* context, const Part& part) {
  const LinearInput& input = *static_cast<const LinearInput*>(context);
  for (size_t i = 0; i < part.rows; ++i) {
    const size_t at = (part.row + i) * input.in + part.column;
    instruction_set().finish_input(part.columns, part.sums + i * part.stride,
                                   input.add != nullptr ? input.add + at : nullptr,
                                   input.dx != nullptr ? input.dx + at : nullptr,
                                   input.activated != nullptr ? input.activated + at : nullptr,
                                   input.masked != nullptr ? input.masked + at : nullptr);
  }
}

void finish_weight(const void* context, const Part& part) {
  const LinearGradient& layer = *static_cast<const LinearGradient*>(context);
  for (size_t i = 0; i < part.rows; ++i)
    std::memcpy(layer.dweight + (part.row + i) * layer.in + part.column, part.sums + i * part.stride,
                part.columns * sizeof(float));
}

}  // namespace

void column_sums(size_t rows, size_t columns, const float* x, float* sums) {
  for_ranges(columns, rows / 4, [&](size_t begin, size_t end) {
    thread_local Scratch scratch;
    double* sum = scratch.get<double>(end - begin);
    std::fill(sum, sum + (end - begin), 0.0);
    for (size_t i = 0; i < rows; ++i) instruction_set().add_to(end - begin, x + i * columns + begin, sum);
    for (size_t j = begin; j < end; ++j) sums[j] = static_cast<float>(sum[j - begin]);
  });
}

namespace {

class CpuLinearKernels final : public LinearKernels {
 public:
  void forward(const LinearForward& a) const override {
    Term* terms = group<Term>(a.count);
    Product* products = group<Product>(a.count);
    for (size_t i = 0; i < a.count; ++i) {
      const LinearLayer& l = a.layers[i];
      terms[i] = {{l.x, l.in, 1}, {l.weight, 1, l.in}, l.in};
      products[i] = {a.n, l.out, terms + i, 1, {finish_forward, &l}};
    }
    multiply(products, a.count);
  }

  void backward_input(const LinearBackwardInput& a) const override {
    Term* terms = group<Term>(a.count);
    for (size_t i = 0; i < a.count; ++i)
      terms[i] = {{a.layers[i].dy, a.layers[i].out, 1}, {a.layers[i].weight, a.input.in, 1}, a.layers[i].out};
    const Product product{a.n, a.input.in, terms, a.count, {finish_input, &a.input}};
    multiply(&product, 1);
  }

  void backward_weight(const LinearBackwardWeight& a) const override {
    Term* terms = group<Term>(a.count);
    Product* products = group<Product>(a.count);
    for (size_t i = 0; i < a.count; ++i) {
      const LinearGradient& l = a.layers[i];
      terms[i] = {{l.dy, 1, l.out}, {l.x, l.in, 1}, a.n};
      products[i] = {l.out, l.in, terms + i, 1, {finish_weight, &l}};
      column_sums(a.n, l.out, l.dy, l.dbias);
    }
    multiply(products, a.count);
  }
};

}  // namespace

std::unique_ptr<const LinearKernels> make_linear_kernels() { return std::make_unique<CpuLinearKernels>(); }

}  // namespace tr0n
