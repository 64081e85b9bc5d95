#pragma once
#include <string>
#include <vector>

#include "device/kernels.h"
#include "selftest/inputs.h"
#include "selftest/machine.h"

/// Layers in float64, for the cases of linear layers.
namespace tr0n::selftest {

struct LayerSizes {
  size_t n, in, out;

  std::string text(Precision precision) const {
    return std::to_string(n) + " × " + std::to_string(in) + " → " + std::to_string(out) +
           (precision == Precision::fp32 ? " fp32" : " tf32");
  }
  /// Of `layers` products of these sizes.
  Work work(Precision precision, double layers) const {
    const auto a = static_cast<double>(n), b = static_cast<double>(in), c = static_cast<double>(out);
    return {layers * 4 * (a * b + b * c + a * c), layers * 2 * a * b * c, precision == Precision::tf32};
  }
};

inline double tolerance_of(Precision precision) { return precision == Precision::fp32 ? 1e-5 : 2e-3; }

/// Every combination of sizes around the edges of tiles, and the translator's own at its batches.
std::vector<LayerSizes> sizes(bool quick);

struct Layer {
  size_t in, out;
  std::vector<float> weight, bias;

  Layer(const LayerSizes& s, uint32_t stream) : Layer(s.n, s.in, s.out, stream) {}
  Layer(size_t n, size_t in, size_t out, uint32_t stream);

  /// x·weightᵀ + bias.
  std::vector<double> forward(const std::vector<float>& x, size_t n) const;
  /// dy·weight.
  std::vector<double> backward(const std::vector<float>& dy, size_t n) const;
};

/// dyᵀ·x and Σ_rows dy.
std::vector<double> weight_gradient(const std::vector<float>& x, const std::vector<float>& dy, size_t n,
                                    size_t in, size_t out);
std::vector<double> bias_gradient(const std::vector<float>& dy, size_t n, size_t out);

}  // namespace tr0n::selftest
