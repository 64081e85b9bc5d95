#include "selftest/linear.h"

#include <cmath>

namespace tr0n::selftest {
namespace {

/// c [m, n] += a·b with a(i, l) = a[i·ai + l·al], b(l, j) = b[l·bl + j·bj].
void multiply(size_t m, size_t n, size_t k, const float* a, size_t ai, size_t al, const float* b, size_t bl,
              size_t bj, double* c) {
  std::vector<double> row(n);
  for (size_t i = 0; i < m; ++i) {
    for (size_t l = 0; l < k; ++l) {
      const auto left = static_cast<double>(a[i * ai + l * al]);
      for (size_t j = 0; j < n; ++j) c[i * n + j] += left * static_cast<double>(b[l * bl + j * bj]);
    }
  }
}

}  // namespace

std::vector<LayerSizes> sizes(bool quick) {
  // The last three have as many large tiles of outputs, of inputs and of weights as an H100 has
  // multiprocessors: fewer would be computed in smaller ones.
  if (quick)
    return {{1, 1, 1},    {1, 31, 257},    {16, 64, 132},   {17, 33, 32},   {31, 257, 33},
            {33, 32, 31}, {257, 257, 257}, {257, 20, 2850}, {257, 5700, 9}, {20, 1100, 1100}};
  const size_t edges[] = {1, 31, 32, 33, 257}, batches[] = {1, 16, 255, 2048};
  std::vector<LayerSizes> all;
  for (const size_t n : edges)
    for (const size_t in : edges)
      for (const size_t out : edges) all.push_back({n, in, out});
  for (const size_t n : batches)
    for (const LayerSizes& s : {LayerSizes{n, 512, 2048}, LayerSizes{n, 2048, 2048},
                                LayerSizes{n, 2048, 1280}, LayerSizes{n, 2048, 10}, LayerSizes{n, 2048, 128}})
      all.push_back(s);
  return all;
}

Layer::Layer(size_t, size_t in_size, size_t out_size, uint32_t stream)
    : in(in_size),
      out(out_size),
      weight(normals(in * out, stream, 1 / std::sqrt(static_cast<float>(in)))),
      bias(normals(out, stream + 1)) {}

std::vector<double> Layer::forward(const std::vector<float>& x, size_t n) const {
  std::vector<double> y(n * out);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < out; ++j) y[i * out + j] = static_cast<double>(bias[j]);
  multiply(n, out, in, x.data(), in, 1, weight.data(), 1, in, y.data());
  return y;
}

std::vector<double> Layer::backward(const std::vector<float>& dy, size_t n) const {
  std::vector<double> dx(n * in);
  multiply(n, in, out, dy.data(), out, 1, weight.data(), in, 1, dx.data());
  return dx;
}

std::vector<double> weight_gradient(const std::vector<float>& x, const std::vector<float>& dy, size_t n,
                                    size_t in, size_t out) {
  std::vector<double> gradient(out * in);
  multiply(out, in, n, dy.data(), 1, out, x.data(), in, 1, gradient.data());
  return gradient;
}

std::vector<double> bias_gradient(const std::vector<float>& dy, size_t n, size_t out) {
  std::vector<double> gradient(out);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < out; ++j) gradient[j] += static_cast<double>(dy[i * out + j]);
  return gradient;
}

}  // namespace tr0n::selftest
