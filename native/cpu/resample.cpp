#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/std_table.h"

namespace tr0n {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// log(a·e^x + (1 − a)·e^y), for a in [0, 1].
double log_blend(double a, double x, double y) {
  if (a <= 0) return y;
  if (a >= 1) return x;
  const double terms[2] = {std::log(a) + x, std::log1p(-a) + y};
  return log_sum_exp(terms, 2);
}

double gumbel(const Philox& rng, Chain chain, uint32_t candidate) {
  const auto words = rng.bits(chain, 0, Purpose::resample, candidate / 4);
  return -std::log(-std::log(Philox::unit(words[candidate % 4])));
}

class CpuResampleKernels final : public ResampleKernels {
 public:
  void candidates(const DrawCandidates& a) const override {
    const size_t d = a.q.latent;
    for_ranges(a.n, 20 * (a.q.components + d), [&](size_t begin, size_t end) {
      thread_local Scratch scratch;
      const StdValues values(a.alpha < 1 ? a.q : MixtureView{}, scratch);
      for (size_t i = begin; i < end; ++i) {
        float* out = a.z + i * d;
        if (a.rng.uniform(a.chains[i], a.steps[i], Purpose::candidate_choice) < a.alpha) {
          a.prior.draw(a.rng, a.chains[i], a.steps[i], Purpose::candidate_prior, out);
          continue;
        }
        const double u = a.rng.uniform(a.chains[i], a.steps[i], Purpose::candidate_component);
        const size_t k = choose_component(a.q.logits + a.rows[i] * a.q.components, a.q.components, u);
        const float* mean = a.q.means + (a.rows[i] * a.q.components + k) * d;
        a.rng.normal(a.chains[i], a.steps[i], Purpose::candidate_normal, out, d);
        const float* stds = values.of(k);
        for (size_t j = 0; j < d; ++j) out[j] = mean[j] + stds[j] * out[j];
      }
    });
  }

  void weights(const ImportanceWeights& a) const override {
    const size_t components = a.q.components, d = a.q.latent;
    for_ranges(a.n, components * (d + 20), [&](size_t begin, size_t end) {
      thread_local Scratch table_memory, row_memory;
      const StdTable stds(a.q, table_memory);
      double* weights = row_memory.get<double>(components);
      for (size_t i = begin; i < end; ++i) {
        const double log_prior = a.prior.log_density(a.z + i * d);
        if (!std::isfinite(a.energies[i]) || log_prior == -kInfinity) {
          a.log_weights[i] = -kInfinity;
          continue;
        }
        const double log_q = a.alpha < 1 ? log_density(a.q.logits + a.rows[i] * components,
                                                       a.q.means + a.rows[i] * components * d, stds.view,
                                                       components, d, a.z + i * d, weights)
                                         : 0.0;
        const double weight = a.prior_weight * log_prior - a.fidelity * static_cast<double>(a.energies[i]) -
                              log_blend(a.alpha, log_prior, log_q);
        a.log_weights[i] = std::isfinite(weight) ? weight : -kInfinity;
      }
    });
  }

  void choose(const Resample& a) const override {
    for_ranges(a.n, 40 * a.count + a.d, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t own = a.members != nullptr ? a.members[i] : i;
        ResampleState& state = a.states[own];
        size_t winner = a.count;
        for (size_t j = 0; j < a.count; ++j) {
          const double weight = a.log_weights[i * a.count + j];
          if (weight == -kInfinity) continue;
          if (weight > state.largest) {  // rescale what was summed relative to the old maximum
            const double factor = std::exp(state.largest - weight);
            state.sum *= factor;
            state.square_sum *= factor * factor;
            state.largest = weight;
          }
          const double relative = std::exp(weight - state.largest);
          state.sum += relative;
          state.square_sum += relative * relative;
          const double score = weight + gumbel(a.rng, a.chains[own], a.first_step + static_cast<uint32_t>(j));
          if (score > state.best_score) {
            state.best_score = score;
            state.best_energy = static_cast<double>(a.energies[i * a.count + j]);
            winner = j;
          }
        }
        if (winner < a.count) std::copy_n(a.z + (i * a.count + winner) * a.d, a.d, a.best + own * a.d);
      }
    });
  }
};

}  // namespace

std::unique_ptr<const ResampleKernels> make_resample_kernels() {
  return std::make_unique<CpuResampleKernels>();
}

}  // namespace tr0n
