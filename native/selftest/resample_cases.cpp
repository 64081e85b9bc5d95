/// Candidates, their weights, and the choice among them.
#include <limits>

#include "selftest/reference.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Shape {
  size_t n, components, d;
};

std::vector<Shape> shapes(bool quick) {
  std::vector<Shape> all = {{1, 1, 1}, {31, 3, 33}, {33, 33, 31}, {20, 10, 128}, {3, 2, 600}, {401, 2, 5}};
  if (!quick) all.insert(all.end(), {{1024, 10, 128}, {257, 33, 257}});
  return all;
}

std::string name_of(const Shape& shape, const Prior& prior, double alpha, bool own_stds) {
  return "n " + std::to_string(shape.n) + ", K " + std::to_string(shape.components) + ", d " +
         std::to_string(shape.d) + ", " + prior_name(prior) + ", α " + std::to_string(alpha).substr(0, 4) +
         (own_stds ? ", stds of each component" : "");
}

MixtureInput usual_input(size_t n, const Shape& shape, bool own_stds) {
  const std::vector<MixtureInput> all = mixture_inputs(n, shape.components, shape.d);
  return own_stds ? by_component(all).front() : all.front();
}

/// N(0, std²) cut to ±bound; attempt r reads block r·d + j.
double exact_truncated(double std, double bound, const Philox& rng, Chain chain, uint32_t step, size_t d,
                       size_t j) {
  for (size_t attempt = 0;; ++attempt) {
    const auto words =
        rng.bits(chain, step, Purpose::candidate_prior, static_cast<uint32_t>(attempt * d + j));
    const double u = Philox::unit(words[0]), v = Philox::unit(words[1]);
    if (bound < std) {
      const double x = bound * (2 * u - 1);
      if (v < std::exp(-0.5 * x * x / (std * std))) return x;
      continue;
    }
    const double radius = std * std::sqrt(-2 * std::log(u)), angle = 2 * M_PI * v;
    for (const double x : {radius * std::cos(angle), radius * std::sin(angle)})
      if (std::fabs(x) <= bound) return x;
  }
}

/// A draw from the prior, as device/kernels/prior.cpp lays its numbers out.
std::vector<double> exact_prior(const Prior& prior, const Philox& rng, Chain chain, uint32_t step) {
  constexpr Purpose purpose = Purpose::candidate_prior;
  std::vector<double> z(prior.dim);
  if (prior.kind == Prior::Kind::elements) {
    const size_t quads = (prior.dim + 3) / 4;
    z = exact_normals(rng, chain, step, purpose, prior.dim);
    for (size_t j = 0; j < prior.dim; ++j) {
      const PriorElement& e = prior.elements[j];
      const double mean = static_cast<double>(e.mean), low = static_cast<double>(e.low),
                   high = static_cast<double>(e.high), width = static_cast<double>(e.std);
      if (std::isinf(e.std))
        z[j] = low + exact_uniform(rng, chain, step, purpose, 4 * quads + j) * (high - low);
      else if (std::isinf(e.low))
        z[j] = mean + width * z[j];
      else
        z[j] = mean + exact_truncated(width, (high - low) / 2, rng, chain, step, prior.dim, 2 * quads + j);
    }
    return z;
  }
  const double std = static_cast<double>(prior.std), bound = static_cast<double>(prior.bound);
  if (prior.kind == Prior::Kind::normal) {
    z = exact_normals(rng, chain, step, purpose, prior.dim);
    for (double& x : z) x *= std;
    return z;
  }
  for (size_t j = 0; j < prior.dim; ++j) {
    if (prior.kind == Prior::Kind::uniform) {
      const double low = static_cast<double>(prior.low), high = static_cast<double>(prior.high);
      z[j] = low + exact_uniform(rng, chain, step, purpose, j) * (high - low);
      continue;
    }
    z[j] = exact_truncated(std, bound, rng, chain, step, prior.dim, j);
  }
  return z;
}

struct DeviceMixture {
  DeviceMixture(Device& device, const MixtureInput& in)
      : logits(device, in.logits),
        means(device, in.means),
        log_stds(device, in.log_stds),
        view{in.n,         in.components,   in.latent,        logits.data(),
             means.data(), log_stds.data(), in.component_stds} {}
  Array<float> logits, means, log_stds;
  MixtureView view;
};

}  // namespace

namespace {

/// With stds of each component under the first prior only: they have nothing to do with the prior.
std::vector<PriorValues> priors_for(size_t d, bool own_stds) {
  std::vector<PriorValues> all = every_prior(d);
  if (own_stds) all.resize(1);
  return all;
}

void candidates(Test& test, const Shape& shape, bool own_stds) {
  const Philox rng(31);
  const MixtureInput in = usual_input(5, shape, own_stds);
  const std::vector<uint32_t> rows = integers(shape.n, 1, 5), steps = integers(shape.n, 2, 1 << 24);
  const std::vector<Chain> who = chains(shape.n, 3);
  for (const PriorValues& values : priors_for(shape.d, own_stds))
    for (const double alpha : {0.0, 0.4, 1.0}) {
      const Prior prior = values.view();
      std::vector<double> exact;
      for (size_t i = 0; i < shape.n; ++i) {
        if (rng.uniform(who[i], steps[i], Purpose::candidate_choice) < alpha) {
          const std::vector<double> z = exact_prior(prior, rng, who[i], steps[i]);
          exact.insert(exact.end(), z.begin(), z.end());
          continue;
        }
        const size_t k = exact_choice(in.probabilities(rows[i]),
                                      rng.uniform(who[i], steps[i], Purpose::candidate_component));
        const std::vector<double> epsilon =
            exact_normals(rng, who[i], steps[i], Purpose::candidate_normal, shape.d);
        for (size_t j = 0; j < shape.d; ++j)
          exact.push_back(static_cast<double>(in.means[(rows[i] * shape.components + k) * shape.d + j]) +
                          static_cast<double>(in.std(k, j)) * epsilon[j]);
      }
      const auto on = [&](Device& device) {
        const DeviceMixture q(device, in);
        const Array<uint32_t> row(device, rows), step(device, steps);
        const Array<Chain> chain(device, who);
        Array<float> z(device, shape.n * shape.d);
        const DevicePrior p(device, prior, 0, shape.d);
        device.kernels().resample->candidates(
            {q.view, p.view(), alpha, row.data(), chain.data(), step.data(), shape.n, rng, z.data()});
        return z.values();
      };
      const std::vector<float> got = on(test.device);
      bool inside = true;
      for (size_t i = 0; alpha == 1 && i < shape.n; ++i) inside &= prior.contains(got.data() + i * shape.d);
      test.row(name_of(shape, prior, alpha, own_stds))
          .close("z", got, exact, 1e-6)
          .agrees("z", got, on(test.cpu), 1e-6)
          .that("inside the support", inside);
    }
}

}  // namespace

SELFTEST(draw_candidates) {
  for (const Shape& shape : shapes(test.quick))
    for (const bool own_stds : {false, true}) candidates(test, shape, own_stds);
}

namespace {

void weights(Test& test, const Shape& shape, bool own_stds) {
  const size_t n = shape.n;
  const MixtureInput in = usual_input(n, shape, own_stds);
  const std::vector<uint32_t> rows = integers(n, 1, static_cast<uint32_t>(n));
  std::vector<float> energies = normals(n, 2, 5);
  for (size_t i = 2; i < n; i += 7) energies[i] = i % 2 == 0 ? NAN : INFINITY;
  for (const PriorValues& values : priors_for(shape.d, own_stds)) {
    const Prior prior = values.view();
    std::vector<float> z = in.z;
    for (size_t i = 0; i < z.size(); ++i) {  // most rows inside the support, every sixth in one place not
      z[i] = std::fmod(z[i], 0.4f);
      if (i / shape.d % 6 == 3 && i % shape.d == 0) z[i] = i % 2 == 0 ? 50.0f : NAN;
      // Between an element's bounds and the same about 0: outside of one kind, inside of another.
      if (i / shape.d % 6 == 1 && i % shape.d == 1) z[i] = -2.0f;
      if (i / shape.d % 6 == 5 && i % shape.d == 2) z[i] = -1.5f;
    }
    for (const double alpha : {0.0, 0.1, 1.0})
      for (const double prior_weight : {1.0, 0.0}) {
        std::vector<double> exact;
        for (size_t i = 0; i < n; ++i) {
          const double log_prior = exact_log_prior(prior, z.data() + i * shape.d);
          long double mixed = log_prior;  // log q'
          if (alpha < 1) {
            const long double log_q = exact_density(in, rows[i], z.data() + i * shape.d).log;
            const long double share = alpha > 0 ? std::log(static_cast<long double>(alpha)) : -kInfinity;
            const long double rest = std::log(1 - static_cast<long double>(alpha));
            const long double a = share + log_prior, b = rest + log_q, largest = std::fmax(a, b);
            mixed = largest + std::log(std::exp(a - largest) + std::exp(b - largest));
          }
          exact.push_back(std::isfinite(energies[i]) && std::isfinite(log_prior)
                              ? prior_weight * log_prior - 3 * static_cast<double>(energies[i]) -
                                    static_cast<double>(mixed)
                              : -kInfinity);
        }
        const auto on = [&](Device& device) {
          const DeviceMixture q(device, in);
          const Array<uint32_t> row(device, rows);
          const Array<float> here(device, z), e(device, energies);
          Array<double> out(device, n);
          const DevicePrior p(device, prior, 0, shape.d);
          device.kernels().resample->weights(
              {q.view, p.view(), alpha, 3, prior_weight, row.data(), n, here.data(), e.data(), out.data()});
          return out.values();
        };
        const std::vector<double> got = on(test.device);
        test.row(name_of(shape, prior, alpha, own_stds))
            .each_close("weights", got, exact, 1e-10)
            .agrees("weights", got, on(test.cpu), 1e-12);
      }
  }
}

}  // namespace

SELFTEST(importance_weights) {
  for (const Shape& shape : shapes(test.quick))
    for (const bool own_stds : {false, true}) weights(test, shape, own_stds);
}

SELFTEST(resample) {
  const Philox rng(33);
  struct Result {
    std::vector<double> score, energy, largest, sum, square_sum;
    std::vector<float> best;
  };
  struct Sizes {
    size_t n, count, d;
  };
  std::vector<Sizes> all = {{1, 1, 1}, {31, 16, 33}, {3, 32, 128}, {5, 33, 31}, {2, 257, 5}, {401, 3, 2}};
  if (!test.quick) all.insert(all.end(), {{256, 16, 128}, {257, 256, 128}});
  for (const Sizes& s : all)
    for (const double spread : {1.0, 1e4}) {
      const size_t rows = s.n * s.count;
      const std::vector<float> z = normals(rows * s.d, 1), energies = normals(rows, 2);
      std::vector<double> weights = widened(normals(rows, 3, static_cast<float>(spread)));
      for (size_t i = 0; i < rows; ++i)
        if (i % 5 == 0 || i / s.count % 7 == 6) weights[i] = -kInfinity;  // of some chains all
      const std::vector<Chain> who = chains(s.n, 4);
      Result exact;
      for (size_t i = 0; i < s.n; ++i) {
        double best = -kInfinity, largest = -kInfinity, energy = kInfinity;
        size_t winner = s.count;
        for (size_t j = 0; j < s.count; ++j) {
          const double weight = weights[i * s.count + j];
          const auto words = rng.bits(who[i], 0, Purpose::resample, static_cast<uint32_t>((5 + j) / 4));
          const double score = weight - std::log(-std::log(Philox::unit(words[(5 + j) % 4])));
          largest = std::fmax(largest, weight);
          if (score <= best) continue;
          best = score;
          winner = j;
          energy = static_cast<double>(energies[i * s.count + j]);
        }
        long double sum = 0, square_sum = 0;
        for (size_t j = 0; std::isfinite(largest) && j < s.count; ++j) {
          const long double relative = std::exp(static_cast<long double>(weights[i * s.count + j]) - largest);
          sum += relative;
          square_sum += relative * relative;
        }
        exact.score.push_back(best);
        exact.energy.push_back(energy);
        exact.largest.push_back(largest);
        exact.sum.push_back(static_cast<double>(sum));
        exact.square_sum.push_back(static_cast<double>(square_sum));
        for (size_t j = 0; j < s.d; ++j)
          exact.best.push_back(winner < s.count ? z[(i * s.count + winner) * s.d + j] : -1.0f);
      }
      // In one call, or the first candidates in one and the rest in another, each chain at a place of its
      // own.
      const auto on = [&](Device& device, size_t first) {
        const size_t places = first > 0 ? s.n + 3 : s.n;
        std::vector<uint32_t> members(s.n);
        std::vector<Chain> placed(places);
        for (size_t i = 0; i < s.n; ++i) {
          members[i] = static_cast<uint32_t>(first > 0 ? places - 1 - i : i);
          placed[members[i]] = who[i];
        }
        Array<ResampleState> states(
            device, std::vector<ResampleState>(places, {-kInfinity, kInfinity, -kInfinity, 0, 0}));
        Array<float> best(device, std::vector<float>(places * s.d, -1.0f));
        const Array<Chain> chain(device, placed);
        const Array<uint32_t> own(device, members);
        for (const auto& [from, to] : {std::make_pair(size_t{0}, first), std::make_pair(first, s.count)}) {
          const size_t part = to - from;
          if (part == 0) continue;
          std::vector<float> z_part, e_part;
          std::vector<double> w_part;
          for (size_t i = 0; i < s.n; ++i)
            for (size_t j = i * s.count + from; j < i * s.count + to; ++j) {
              e_part.push_back(energies[j]);
              w_part.push_back(weights[j]);
              for (size_t k = 0; k < s.d; ++k) z_part.push_back(z[j * s.d + k]);
            }
          const Array<float> points(device, z_part), e(device, e_part);
          const Array<double> w(device, w_part);
          device.kernels().resample->choose({s.n, part, s.d, first > 0 ? own.data() : nullptr, chain.data(),
                                             static_cast<uint32_t>(5 + from), rng, points.data(), e.data(),
                                             w.data(), states.data(), best.data()});
        }
        Result result;
        const std::vector<ResampleState> seen = states.values();
        const std::vector<float> winners = best.values();
        for (const uint32_t member : members) {
          const ResampleState& state = seen[member];
          result.score.push_back(state.best_score);
          result.energy.push_back(state.best_energy);
          result.largest.push_back(state.largest);
          result.sum.push_back(state.sum);
          result.square_sum.push_back(state.square_sum);
          for (size_t j = 0; j < s.d; ++j) result.best.push_back(winners[member * s.d + j]);
        }
        return result;
      };
      const Result got = on(test.device, 0), cpu = on(test.cpu, 0), split = on(test.device, s.count * 2 / 3);
      test.row("n " + std::to_string(s.n) + ", count " + std::to_string(s.count) + ", d " +
               std::to_string(s.d) + (spread > 1 ? ", far apart" : ""))
          .close("best", got.best, widened(exact.best), 0)
          .each_close("energy", got.energy, exact.energy, 0)
          .each_close("score", got.score, exact.score, 1e-12)
          .each_close("largest", got.largest, exact.largest, 0)
          .each_close("sum", got.sum, exact.sum, 1e-12)
          .each_close("square sum", got.square_sum, exact.square_sum, 1e-12)
          .same("best", got.best, cpu.best)
          .agrees("score", got.score, cpu.score, 1e-14)
          .agrees("sum", got.sum, cpu.sum, 1e-14)
          .that("split over two calls", split.best == got.best && split.sum == got.sum &&
                                            split.square_sum == got.square_sum && split.score == got.score);
    }
}

}  // namespace tr0n::selftest
