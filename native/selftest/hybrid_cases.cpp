/// The hybrid sampler's latent and its adjoint.
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

struct Input {
  size_t n, components, d;
  std::vector<float> means, weights;
};

/// π of one element, components d apart.
std::vector<long double> shares(const Input& in, size_t base) {
  std::vector<long double> result(in.components);
  long double largest = in.weights[base], sum = 0;
  for (size_t k = 0; k < in.components; ++k)
    largest = std::max<long double>(largest, in.weights[base + k * in.d]);
  for (size_t k = 0; k < in.components; ++k)
    sum += result[k] = std::exp(in.weights[base + k * in.d] - largest);
  for (long double& value : result) value /= sum;
  return result;
}

std::vector<Input> inputs(bool quick) {
  std::vector<Input> all;
  const auto add = [&](size_t n, size_t components, size_t d) {
    for (const float spread : {1.0f, 80.0f, 1e4f})
      all.push_back(
          {n, components, d, normals(n * components * d, 1), normals(n * components * d, 2, spread)});
  };
  add(1, 1, 1), add(31, 3, 33), add(33, 16, 31), add(3, 17, 257), add(2, 10, 128);
  if (!quick) add(16, 10, 128), add(255, 10, 128), add(257, 33, 257);
  return all;
}

std::string name_of(const Input& in) {
  return "n " + std::to_string(in.n) + ", K " + std::to_string(in.components) + ", d " + std::to_string(in.d);
}

std::vector<float> combined(Device& device, const Input& in) {
  const Array<float> means(device, in.means), weights(device, in.weights);
  Array<float> z(device, in.n * in.d);
  device.kernels().hybrid->combine({in.n, in.components, in.d, means.data(), weights.data(), z.data()});
  return z.values();
}

}  // namespace

SELFTEST(hybrid_combine) {
  for (const Input& in : inputs(test.quick)) {
    std::vector<double> exact;
    for (size_t i = 0; i < in.n * in.d; ++i) {
      const size_t base = i / in.d * in.components * in.d + i % in.d;
      const std::vector<long double> pi = shares(in, base);
      long double value = 0;
      for (size_t k = 0; k < in.components; ++k) value += pi[k] * in.means[base + k * in.d];
      exact.push_back(static_cast<double>(value));
    }
    const std::vector<float> got = combined(test.device, in);
    test.row(name_of(in)).close("z", got, exact, 1e-5).agrees("z", got, combined(test.cpu, in), 1e-6);
  }
  test.row("n 0").that("nothing", combined(test.device, {0, 3, 4, {}, {}}).empty());
}

SELFTEST(hybrid_gradients) {
  for (const Input& in : inputs(test.quick)) {
    const std::vector<float> z = combined(test.cpu, in), gradient = normals(in.n * in.d, 3);
    std::vector<double> exact_means(in.means.size()), exact_weights(in.means.size());
    for (size_t i = 0; i < z.size(); ++i) {
      const size_t base = i / in.d * in.components * in.d + i % in.d;
      const std::vector<long double> pi = shares(in, base);
      for (size_t k = 0; k < in.components; ++k) {
        const size_t at = base + k * in.d;
        exact_means[at] = static_cast<double>(pi[k] * gradient[i]);
        exact_weights[at] = static_cast<double>(
            pi[k] * (static_cast<long double>(in.means[at]) - static_cast<long double>(z[i])) * gradient[i]);
      }
    }
    const auto on = [&](Device& device) {
      const Array<float> means(device, in.means), weights(device, in.weights), here(device, z),
          g(device, gradient);
      Array<float> d_means(device, in.means.size()), d_weights(device, in.means.size());
      device.kernels().hybrid->gradients({in.n, in.components, in.d, means.data(), weights.data(),
                                          here.data(), g.data(), d_means.data(), d_weights.data()});
      return std::make_pair(d_means.values(), d_weights.values());
    };
    const auto got = on(test.device), cpu = on(test.cpu);
    test.row(name_of(in))
        .close("d_means", got.first, exact_means, 1e-5)
        .close("d_weights", got.second, exact_weights, 1e-5)
        .agrees("d_means", got.first, cpu.first, 1e-6)
        .agrees("d_weights", got.second, cpu.second, 1e-6);
  }
}

}  // namespace tr0n::selftest
