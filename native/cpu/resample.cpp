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

}  // namespace

void CpuKernels::draw_candidates(const MixtureView& q, const Prior& prior, double alpha, const uint32_t* rows,
                                 const Chain* chains, const uint32_t* steps, size_t n, const Philox& rng,
                                 float* z) const {
  const size_t d = q.latent;
  for_ranges(n, 20 * (q.components + d), [&](size_t begin, size_t end) {
    thread_local Scratch scratch;
    const StdValues values(alpha < 1 ? q : MixtureView{}, scratch);
    for (size_t i = begin; i < end; ++i) {
      float* out = z + i * d;
      if (rng.uniform(chains[i], steps[i], Purpose::candidate_choice) < alpha) {
        prior.draw(rng, chains[i], steps[i], Purpose::candidate_prior, out);
        continue;
      }
      const double u = rng.uniform(chains[i], steps[i], Purpose::candidate_component);
      const size_t k = choose_component(q.logits + rows[i] * q.components, q.components, u);
      const float* mean = q.means + (rows[i] * q.components + k) * d;
      rng.normal(chains[i], steps[i], Purpose::candidate_normal, out, d);
      const float* stds = values.of(k);
      for (size_t j = 0; j < d; ++j) out[j] = mean[j] + stds[j] * out[j];
    }
  });
}

void CpuKernels::importance_weights(const MixtureView& q, const Prior& prior, double alpha, double fidelity,
                                    double prior_weight, const uint32_t* rows, size_t n, const float* z,
                                    const float* energies, double* log_weights) const {
  const size_t components = q.components, d = q.latent;
  for_ranges(n, components * (d + 20), [&](size_t begin, size_t end) {
    thread_local Scratch table_memory, row_memory;
    const StdTable stds(q, table_memory);
    double* weights = row_memory.get<double>(components);
    for (size_t i = begin; i < end; ++i) {
      const double log_prior = prior.log_density(z + i * d);
      if (!std::isfinite(energies[i]) || log_prior == -kInfinity) {
        log_weights[i] = -kInfinity;
        continue;
      }
      const double log_q =
          alpha < 1 ? log_density(q.logits + rows[i] * components, q.means + rows[i] * components * d,
                                  stds.view, components, d, z + i * d, weights)
                    : 0.0;
      const double weight = prior_weight * log_prior - fidelity * static_cast<double>(energies[i]) -
                            log_blend(alpha, log_prior, log_q);
      log_weights[i] = std::isfinite(weight) ? weight : -kInfinity;
    }
  });
}

void CpuKernels::resample(size_t n, size_t count, size_t d, const Chain* chains, uint32_t first_step,
                          const Philox& rng, const float* z, const float* energies, const double* log_weights,
                          ResampleState* states, float* best) const {
  for_ranges(n, 40 * count + d, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      ResampleState& state = states[i];
      size_t winner = count;
      for (size_t j = 0; j < count; ++j) {
        const double weight = log_weights[i * count + j];
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
        const double score = weight + gumbel(rng, chains[i], first_step + static_cast<uint32_t>(j));
        if (score > state.best_score) {
          state.best_score = score;
          state.best_energy = static_cast<double>(energies[i * count + j]);
          winner = j;
        }
      }
      if (winner < count) std::copy_n(z + (i * count + winner) * d, d, best + i * d);
    }
  });
}

}  // namespace tr0n
