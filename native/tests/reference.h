#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "core/translator/translator.h"

namespace tr0n::test {

/// The translator's loss in float64, written straight from method.md, for finite differences.
class Reference {
 public:
  Reference(const Translator& translator)
      : config_(translator.config()), parameters_(translator.parameters()) {
    for (const float v : translator.values()) values.push_back(static_cast<double>(v));
  }

  std::vector<double> values;

  double loss(const float* c, const float* z, const float* y, size_t n, double alpha) const {
    double total = 0;
    for (size_t i = 0; i < n; ++i)
      total += row(c + i * config_.condition, z + i * config_.latent, y, i, n, alpha);
    return total;
  }

  std::vector<double> gradient(const float* c, const float* z, const float* y, size_t n, double alpha) {
    std::vector<double> result(values.size());
    for (size_t p = 0; p < values.size(); ++p) {
      const double kept = values[p], step = 1e-5 * std::fmax(1.0, std::fabs(kept));
      values[p] = kept + step;
      const double above = loss(c, z, y, n, alpha);
      values[p] = kept - step;
      const double below = loss(c, z, y, n, alpha);
      values[p] = kept;
      result[p] = (above - below) / (2 * step);
    }
    return result;
  }

 private:
  std::vector<double> linear(const std::string& name, const std::vector<double>& x) const {
    const double *weight = nullptr, *bias = nullptr;
    size_t out = 0;
    for (const Parameter& p : parameters_) {
      if (p.name == name + ".weight") {
        weight = values.data() + p.offset;
        out = p.shape[0];
      }
      if (p.name == name + ".bias") bias = values.data() + p.offset;
    }
    std::vector<double> y(bias, bias + out);
    for (size_t i = 0; i < out; ++i)
      for (size_t j = 0; j < x.size(); ++j) y[i] += weight[i * x.size() + j] * x[j];
    return y;
  }

  double row(const float* c, const float* z, const float* y, size_t i, size_t n, double alpha) const {
    std::vector<double> a2 = linear("shared1", std::vector<double>(c, c + config_.condition));
    for (double& v : a2) v = std::fmax(v, 0.0);
    for (size_t block = 0; block < config_.depth; ++block) {
      const std::vector<double> u = linear("shared" + std::to_string(2 + block), a2);
      for (size_t j = 0; j < a2.size(); ++j) a2[j] += std::fmax(u[j], 0.0);
    }
    std::vector<double> means;
    if (config_.rank == 0) {
      means = linear("z_layer", a2);
    } else {
      const std::vector<double> codes = linear("z_codes", a2);
      for (size_t k = 0; k < config_.components; ++k) {
        const double* code = codes.data() + k * config_.rank;
        for (const double v : linear("z_basis", {code, code + config_.rank})) means.push_back(v);
      }
    }
    const double bound = static_cast<double>(config_.bound);
    if (bound > 0)
      for (double& v : means) v = bound * std::tanh(v);
    const double count = static_cast<double>(n);
    double result = alpha * (config_.deterministic ? squared_error(means, z) : nll(a2, means, z)) / count;
    if (config_.auxiliary > 0)
      result += squared_error(linear("y_layer", a2), y + i * config_.auxiliary) / count;
    return result;
  }

  static double squared_error(const std::vector<double>& prediction, const float* target) {
    double sum = 0;
    for (size_t j = 0; j < prediction.size(); ++j)
      sum += std::pow(prediction[j] - static_cast<double>(target[j]), 2);
    return sum / static_cast<double>(prediction.size());
  }

  double nll(const std::vector<double>& a2, const std::vector<double>& means, const float* z) const {
    const std::vector<double> logits = linear("z_mixture_logits", a2);
    const double* s = nullptr;
    for (const Parameter& p : parameters_)
      if (p.name == "z_log_stds") s = values.data() + p.offset;
    double largest_logit = -INFINITY, largest = -INFINITY, logit_sum = 0, sum = 0;
    for (const double l : logits) largest_logit = std::fmax(largest_logit, l);
    for (const double l : logits) logit_sum += std::exp(l - largest_logit);
    std::vector<double> joint;
    for (size_t k = 0; k < config_.components; ++k) {
      double log_p = logits[k] - largest_logit - std::log(logit_sum);
      for (size_t j = 0; j < config_.latent; ++j) {
        const double std = std::exp(s[config_.component_stds ? k * config_.latent + j : j]) + 1e-6,
                     u = (static_cast<double>(z[j]) - means[k * config_.latent + j]) / std;
        log_p -= 0.5 * u * u + std::log(std) + 0.5 * std::log(2 * 3.14159265358979323846);
      }
      joint.push_back(log_p);
      largest = std::fmax(largest, log_p);
    }
    for (const double l : joint) sum += std::exp(l - largest);
    return -(largest + std::log(sum));
  }

  TranslatorConfig config_;
  std::vector<Parameter> parameters_;
};

}  // namespace tr0n::test
