/// What training adds to conditions, and labels drawn from them.
#include "selftest/reference.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

struct Shape {
  size_t n, m;
};

std::vector<Shape> shapes(bool quick) {
  std::vector<Shape> all = {{1, 1}, {2, 31}, {17, 32}, {5, 33}, {3, 257}, {1, 2100}, {401, 5}, {265, 129}};
  if (!quick) all.insert(all.end(), {{16, 512}, {255, 512}, {257, 257}, {2048, 512}});
  return all;
}

std::string name_of(const Shape& shape, const char* kind) {
  return "n " + std::to_string(shape.n) + ", m " + std::to_string(shape.m) + ", " + kind;
}

std::vector<float> noisy(Device& device, ConditionNoiseKind kind, const Shape& shape,
                         const std::vector<float>& c, const std::vector<float>& factor, const Philox& rng,
                         bool in_place) {
  const std::vector<Chain> who = chains(shape.n, 3);
  Array<float> condition(device, c), out(device, c.size()), workspace(device, c.size());
  const Array<float> l(device, factor);
  const Array<Chain> chain(device, who);
  device.kernels().condition->noise({kind, 0.2f, l.data(), shape.n, shape.m, chain.data(), 12, rng,
                                     condition.data(), workspace.data(),
                                     in_place ? condition.data() : out.data()});
  return (in_place ? condition : out).values();
}

std::vector<double> exactly_noisy(ConditionNoiseKind kind, const Shape& shape, const std::vector<float>& c,
                                  const std::vector<float>& factor, const Philox& rng) {
  const std::vector<Chain> who = chains(shape.n, 3);
  std::vector<double> result = widened(c);
  for (size_t i = 0; i < shape.n; ++i) {
    const std::vector<double> epsilon = exact_normals(rng, who[i], 12, Purpose::condition_noise, shape.m);
    double c_square = 0, square = 0;
    for (size_t j = 0; j < shape.m; ++j) {
      c_square += result[i * shape.m + j] * result[i * shape.m + j];
      square += epsilon[j] * epsilon[j];
    }
    const double scale = static_cast<double>(0.2f);
    for (size_t j = 0; j < shape.m; ++j) {
      double& value = result[i * shape.m + j];
      if (kind == ConditionNoiseKind::isotropic) value += scale * epsilon[j];
      if (kind == ConditionNoiseKind::adaptive) value += scale * std::sqrt(c_square / square) * epsilon[j];
      if (kind == ConditionNoiseKind::covariance)
        for (size_t k = 0; k <= j; ++k) value += static_cast<double>(factor[j * shape.m + k]) * epsilon[k];
    }
  }
  return result;
}

}  // namespace

SELFTEST(condition_noise) {
  const Philox rng(5);
  const std::pair<ConditionNoiseKind, const char*> kinds[] = {{ConditionNoiseKind::none, "none"},
                                                              {ConditionNoiseKind::isotropic, "isotropic"},
                                                              {ConditionNoiseKind::adaptive, "adaptive"},
                                                              {ConditionNoiseKind::covariance, "covariance"}};
  for (const Shape& shape : shapes(test.quick))
    for (const auto& [kind, kind_name] : kinds)
      for (const float size : {1.0f, 1e-30f, 1e30f}) {  // norms that a float's square does not hold
        if (kind != ConditionNoiseKind::adaptive && size != 1) continue;
        const std::vector<float> c = normals(shape.n * shape.m, 1, size);
        std::vector<float> factor;
        if (kind == ConditionNoiseKind::covariance) {
          factor = normals(shape.m * shape.m, 2);
          for (size_t i = 0; i < factor.size(); ++i)
            if (i % shape.m > i / shape.m) factor[i] = 0;
        }
        const std::vector<float> got = noisy(test.device, kind, shape, c, factor, rng, false);
        test.row(name_of(shape, kind_name) + (size == 1  ? ""
                                              : size < 1 ? ", small"
                                                         : ", large"))
            .close("out", got, exactly_noisy(kind, shape, c, factor, rng), 1e-5)
            .agrees("out", got, noisy(test.cpu, kind, shape, c, factor, rng, false), 1e-6)
            .that("in place", noisy(test.device, kind, shape, c, factor, rng, true) == got);
      }
  const std::vector<float> zeros(15);
  test.row("adaptive, c = 0")
      .close("out", noisy(test.device, ConditionNoiseKind::adaptive, {3, 5}, zeros, {}, rng, false),
             std::vector<double>(15), 0);
  test.row("n 0").that(
      "nothing", noisy(test.device, ConditionNoiseKind::covariance, {0, 4}, {}, {}, rng, false).empty());
}

SELFTEST(sample_labels) {
  const Philox rng(6);
  const auto on = [&](Device& device, const Shape& shape, const std::vector<float>& c, bool in_place) {
    const Array<Chain> chain(device, chains(shape.n, 8));
    Array<float> condition(device, c), out(device, c.size());
    device.kernels().condition->labels(
        {shape.n, shape.m, chain.data(), 3, rng, condition.data(), in_place ? condition.data() : out.data()});
    return (in_place ? condition : out).values();
  };
  const auto hold = [&](const std::string& name, const Shape& shape, const std::vector<float>& c) {
    const std::vector<Chain> who = chains(shape.n, 8);
    std::vector<double> exact(c.size());
    for (size_t i = 0; i < shape.n; ++i) {
      std::vector<long double> weights;
      for (size_t j = 0; j < shape.m; ++j) weights.push_back(c[i * shape.m + j] > 0 ? c[i * shape.m + j] : 0);
      exact[i * shape.m + exact_choice(weights, rng.uniform(who[i], 3, Purpose::label))] = 1;
    }
    const std::vector<float> got = on(test.device, shape, c, false);
    test.row(name)
        .close("labels", got, exact, 0)
        .same("labels", got, on(test.cpu, shape, c, false))
        .that("in place", on(test.device, shape, c, true) == got);
  };
  for (const Shape& shape : shapes(test.quick)) {
    hold(name_of(shape, "probabilities"), shape, uniforms(shape.n * shape.m, 1));
    hold(name_of(shape, "with negative entries"), shape, normals(shape.n * shape.m, 2));
    hold(name_of(shape, "zeros"), shape, std::vector<float>(shape.n * shape.m));
    std::vector<float> steep = uniforms(shape.n * shape.m, 4);
    for (float& value : steep) value = std::exp(160 * value - 80);
    hold(name_of(shape, "e^±80"), shape, steep);
    std::vector<float> unknown = uniforms(shape.n * shape.m, 5);
    for (size_t i = 0; i < unknown.size(); i += 3) unknown[i] = NAN;
    hold(name_of(shape, "NaN"), shape, unknown);
    std::vector<float> last(shape.n * shape.m);
    for (size_t i = shape.m - 1; i < last.size(); i += shape.m) last[i] = 1e-45f;
    hold(name_of(shape, "one possible"), shape, last);
  }
}

}  // namespace tr0n::selftest
