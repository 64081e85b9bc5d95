/// Mixtures: negative log-likelihood with gradients, log-density, draws.
#include <algorithm>
#include <cfloat>

#include "selftest/reference.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

struct Shape {
  size_t n, components, latent;
};

std::string name_of(const Shape& shape, const MixtureInput& in) {
  return "n " + std::to_string(shape.n) + ", K " + std::to_string(shape.components) + ", d " +
         std::to_string(shape.latent) + ", " + in.name +
         (in.component_stds ? ", stds of each component" : "");
}

/// With shared stds, then with stds of each component.
std::vector<MixtureInput> inputs(const Shape& shape) {
  std::vector<MixtureInput> all = mixture_inputs(shape.n, shape.components, shape.latent);
  const std::vector<MixtureInput> own = by_component(all);
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

std::vector<Shape> shapes(bool quick) {
  std::vector<Shape> all = {{1, 1, 1},   {1, 10, 128}, {31, 3, 33},  {32, 33, 31},
                            {33, 2, 32}, {3, 10, 257}, {2, 3, 1030}, {3, 9, 520}};
  if (!quick) all.insert(all.end(), {{16, 10, 128}, {255, 10, 128}, {257, 33, 257}, {256, 10, 512}});
  return all;
}

/// A mixture on a device.
struct DeviceMixture {
  DeviceMixture(Device& device, const MixtureInput& in)
      : logits(device, in.logits),
        means(device, in.means),
        log_stds(device, in.log_stds),
        z(device, in.z),
        view{in.n,         in.components,   in.latent,        logits.data(),
             means.data(), log_stds.data(), in.component_stds} {}
  Array<float> logits, means, log_stds, z;
  MixtureView view;
};

struct Nll {
  std::vector<double> nll;
  std::vector<float> d_logits, d_means, d_log_stds;
};

Nll nll_on(Device& device, const MixtureInput& in, float scale, float bound, bool differentiate = true) {
  const DeviceMixture q(device, in);
  Array<double> nll(device, in.n);
  Array<float> d_logits(device, in.logits.size()), d_means(device, in.means.size()),
      d_log_stds(device, in.log_stds.size()), rows(device, in.n * in.log_stds.size());
  device.kernels().mixture->nll(
      {q.view, q.z.data(), scale, bound, nll.data(), differentiate ? d_logits.data() : nullptr,
       differentiate ? d_means.data() : nullptr, differentiate ? d_log_stds.data() : nullptr,
       differentiate ? rows.data() : nullptr});
  return {nll.values(), d_logits.values(), d_means.values(), d_log_stds.values()};
}

double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

struct ExactNll {
  std::vector<double> nll, d_logits, d_means, d_log_stds;
};

ExactNll exact_nll(const MixtureInput& in, float scale, float bound) {
  ExactNll out;
  const long double factor = scale;
  std::vector<long double> d_log_stds(in.log_stds.size()), stds(in.log_stds.size());
  for (size_t k = 0; k < (in.component_stds ? in.components : 1); ++k)
    for (size_t j = 0; j < in.latent; ++j) stds[in.std_index(k, j)] = in.std(k, j);
  for (size_t i = 0; i < in.n; ++i) {
    const float* z = in.z.data() + i * in.latent;
    const Density density = exact_density(in, i, z);
    const std::vector<long double> probabilities = in.probabilities(i);
    out.nll.push_back(-static_cast<double>(density.log));
    for (size_t k = 0; k < in.components; ++k) {
      const long double share = density.responsibilities[k];
      out.d_logits.push_back(static_cast<double>(factor * (probabilities[k] - share)));
      for (size_t j = 0; j < in.latent; ++j) {
        const long double mean = in.means[(i * in.components + k) * in.latent + j];
        const size_t s = in.std_index(k, j);
        const long double sigma = stds[s], u = (static_cast<long double>(z[j]) - mean) / sigma;
        const long double slope = bound > 0 ? bound - mean * mean / bound : 1;
        // What a float cannot hold is infinite.
        out.d_means.push_back(static_cast<double>(static_cast<float>(-factor * share * u / sigma * slope)));
        d_log_stds[s] += share * (1 - u * u);
      }
    }
  }
  for (size_t s = 0; s < stds.size(); ++s)
    out.d_log_stds.push_back(static_cast<double>(static_cast<float>(
        factor * d_log_stds[s] * std::exp(static_cast<long double>(in.log_stds[s])) / stds[s])));
  return out;
}

}  // namespace

SELFTEST(mixture_nll) {
  for (const Shape& shape : shapes(test.quick))
    for (const MixtureInput& in : inputs(shape)) {
      const float scale = 1.0f / static_cast<float>(shape.n);
      const ExactNll exact = exact_nll(in, scale, 0);
      const Nll got = nll_on(test.device, in, scale, 0), cpu = nll_on(test.cpu, in, scale, 0);
      Row row = test.row(name_of(shape, in));
      // π − γ may be nothing but what rounding leaves: then it is held to the size of π and γ.
      if (norm_of(exact.d_logits) < 1e-3 * static_cast<double>(scale))
        row.each_close("d_logits", got.d_logits, exact.d_logits, 1e-7 * static_cast<double>(scale));
      else
        row.close("d_logits", got.d_logits, exact.d_logits, 1e-5)
            .agrees("d_logits", got.d_logits, cpu.d_logits, 1e-6);
      row.each_close("nll", got.nll, exact.nll, 1e-10)
          .close("d_means", got.d_means, exact.d_means, 1e-5)
          .close("d_log_stds", got.d_log_stds, exact.d_log_stds, 1e-5)
          .agrees("nll", got.nll, cpu.nll, 1e-12)
          .agrees("d_means", got.d_means, cpu.d_means, 1e-6)
          .agrees("d_log_stds", got.d_log_stds, cpu.d_log_stds, 1e-6);
    }
}

namespace {

void nll_variants(Test& test, bool own) {
  const auto usual = [&](size_t n, size_t components, size_t d) {
    const std::vector<MixtureInput> all = mixture_inputs(n, components, d);
    return own ? by_component(all).front() : all.front();
  };
  const std::string suffix = own ? ", stds of each component" : "";
  MixtureInput in = usual(5, 3, 33);
  {  // Means of bound·tanh(u), some of them saturated.
    constexpr float bound = 2.0f;
    for (float& mean : in.means) mean = bound * std::tanh(4.0f * mean);
    const ExactNll exact = exact_nll(in, 0.25f, bound);
    const Nll got = nll_on(test.device, in, 0.25f, bound), cpu = nll_on(test.cpu, in, 0.25f, bound);
    test.row("bound 2" + suffix)
        .each_close("nll", got.nll, exact.nll, 1e-10)
        .close("d_means", got.d_means, exact.d_means, 1e-5)
        .close("d_log_stds", got.d_log_stds, exact.d_log_stds, 1e-5)
        .agrees("d_means", got.d_means, cpu.d_means, 1e-6);
    test.row("without gradients" + suffix).same("nll", nll_on(test.device, in, 1, 0, false).nll, got.nll);
    // A row alone: the same bits.
    MixtureInput one{"", 1, 3, 33, {}, {}, in.log_stds, {}, in.component_stds};
    const auto part = [](const std::vector<float>& from, size_t size) {
      return std::vector<float>(from.begin() + static_cast<std::ptrdiff_t>(3 * size),
                                from.begin() + static_cast<std::ptrdiff_t>(4 * size));
    };
    one.logits = part(in.logits, 3);
    one.means = part(in.means, 99);
    one.z = part(in.z, 33);
    const Nll alone = nll_on(test.device, one, 0.25f, bound);
    test.row("a row alone" + suffix)
        .same("d_logits", alone.d_logits, part(got.d_logits, 3))
        .same("d_means", alone.d_means, part(got.d_means, 99))
        .that("nll is the same", alone.nll[0] == got.nll[3]);
  }
  // More rows than blocks: every block has several; and every count of groups.
  for (const size_t n : {size_t{65}, size_t{1024}, size_t{2051}}) {
    const MixtureInput many = usual(n, 2, 3);
    const ExactNll exact = exact_nll(many, 1e-3f, 0);
    const Nll got = nll_on(test.device, many, 1e-3f, 0);
    test.row("n " + std::to_string(n) + ", K 2, d 3" + suffix)
        .each_close("nll", got.nll, exact.nll, 1e-10)
        .close("d_log_stds", got.d_log_stds, exact.d_log_stds, 1e-5)
        .same("again", nll_on(test.device, many, 1e-3f, 0).d_log_stds, got.d_log_stds);
  }
  const Nll empty = nll_on(test.device, usual(0, 4, 7), 1, 0);
  test.row("n 0" + suffix).close("d_log_stds", empty.d_log_stds, std::vector<double>(own ? 28 : 7), 0);
  MixtureInput unknown = usual(3, 2, 5);
  unknown.z[6] = NAN;
  const Nll got = nll_on(test.device, unknown, 1, 0);
  test.row("NaN in z" + suffix)
      .that("its row is not finite, others are",
            std::isfinite(got.nll[0]) && !std::isfinite(got.nll[1]) && std::isfinite(got.nll[2]))
      .same("nll of its row", std::vector<double>{got.nll[1]}, {nll_on(test.cpu, unknown, 1, 0).nll[1]});
}

}  // namespace

SELFTEST(mixture_nll_variants) {
  for (const bool own : {false, true}) nll_variants(test, own);
}

SELFTEST(mixture_log_density) {
  for (const Shape& shape : shapes(test.quick)) {
    for (const MixtureInput& in : inputs(shape)) {
      for (const bool shuffled : {false, true}) {
        const std::vector<uint32_t> rows = integers(in.n, 5, static_cast<uint32_t>(in.n));
        std::vector<double> exact;
        for (size_t i = 0; i < in.n; ++i)
          exact.push_back(static_cast<double>(
              exact_density(in, shuffled ? rows[i] : i, in.z.data() + i * in.latent).log));
        const auto on = [&](Device& device) {
          const DeviceMixture q(device, in);
          const Array<uint32_t> indices(device, rows);
          Array<double> out(device, in.n);
          device.kernels().mixture->log_density(
              {q.view, shuffled ? indices.data() : nullptr, q.z.data(), in.n, out.data()});
          return out.values();
        };
        const std::vector<double> got = on(test.device);
        test.row(name_of(shape, in) + (shuffled ? ", rows" : ""))
            .each_close("log q", got, exact, 1e-10)
            .agrees("log q", got, on(test.cpu), 1e-12);
      }
    }
  }
}

SELFTEST(mixture_log_density_rows) {
  // More rows than blocks: every block goes on to a second one.
  const Shape shape{2500, 3, 5};
  const std::vector<MixtureInput> usual = {mixture_inputs(shape.n, shape.components, shape.latent).front()};
  for (const MixtureInput& in : {usual.front(), by_component(usual).front()}) {
    std::vector<double> exact;
    for (size_t i = 0; i < in.n; ++i)
      exact.push_back(static_cast<double>(exact_density(in, i, in.z.data() + i * in.latent).log));
    const DeviceMixture q(test.device, in);
    Array<double> out(test.device, in.n);
    test.device.kernels().mixture->log_density({q.view, nullptr, q.z.data(), in.n, out.data()});
    test.row(name_of(shape, in)).each_close("log q", out.values(), exact, 1e-10);
  }
}

SELFTEST(mixture_draw) {
  const Philox rng(77);
  for (const Shape& shape : shapes(test.quick)) {
    for (const MixtureInput& in : inputs(shape)) {
      const size_t n = in.n + 2;
      const std::vector<uint32_t> rows = integers(n, 6, static_cast<uint32_t>(in.n));
      const std::vector<Chain> who = chains(n, 7);
      std::vector<double> exact;
      for (size_t i = 0; i < n; ++i) {
        const size_t k = exact_choice(in.probabilities(rows[i]), rng.uniform(who[i], 9, Purpose::component));
        const std::vector<double> epsilon =
            exact_normals(rng, who[i], 9, Purpose::component_normal, in.latent);
        for (size_t j = 0; j < in.latent; ++j) {
          const double std = std::min(static_cast<double>(in.std(k, j)), static_cast<double>(FLT_MAX));
          const double mean = static_cast<double>(in.means[(rows[i] * in.components + k) * in.latent + j]);
          exact.push_back(static_cast<double>(static_cast<float>(mean + std * epsilon[j])));
        }
      }
      const auto on = [&](Device& device) {
        const DeviceMixture q(device, in);
        const Array<uint32_t> indices(device, rows);
        const Array<Chain> chain(device, who);
        Array<float> z(device, n * in.latent);
        device.kernels().mixture->draw({q.view, indices.data(), chain.data(), n, 9, Purpose::component,
                                        Purpose::component_normal, rng, z.data()});
        return z.values();
      };
      const std::vector<float> got = on(test.device);
      test.row(name_of(shape, in)).close("z", got, exact, 1e-5).agrees("z", got, on(test.cpu), 1e-5);
    }
  }
}

SELFTEST(mixture_draw_choices) {
  // All the weight at one component, wherever it is: logits so far apart that exp() of their differences is 0
  // or infinite. And more rows than an H100 has multiprocessors, so that several share a block.
  constexpr size_t n = 401, components = 70, d = 3;
  std::vector<float> logits(n * components), means(n * components * d);
  std::vector<double> expected;
  for (size_t i = 0; i < n; ++i) {
    const size_t chosen = i * 7 % components;
    logits[i * components + chosen] = 2000;
    for (size_t k = 0; k < components; ++k)
      for (size_t j = 0; j < d; ++j)
        means[(i * components + k) * d + j] = static_cast<float>(100 * k + j + 1);
    for (size_t j = 0; j < d; ++j) expected.push_back(static_cast<double>(100 * chosen + j + 1));
  }
  const Array<float> l(test.device, logits), m(test.device, means),
      s(test.device, std::vector<float>(d, -30.0f));
  const Array<Chain> who(test.device, chains(n, 7));
  Array<float> z(test.device, n * d);
  test.device.kernels().mixture->draw({{n, components, d, l.data(), m.data(), s.data()},
                                       nullptr,
                                       who.data(),
                                       n,
                                       9,
                                       Purpose::component,
                                       Purpose::component_normal,
                                       Philox(77),
                                       z.data()});
  test.row("n 401, K 70, d 3").close("z", z.values(), expected, 1e-5);
}

}  // namespace tr0n::selftest
