#include "core/training/relaxed_loss.h"

#include <algorithm>
#include <cmath>

#include "device/kernels/mixture_math.h"

namespace tr0n {

RelaxedDraw::RelaxedDraw(size_t capacity, size_t components, size_t latent, double temperature, uint64_t seed)
    : temperature_(temperature),
      rng_(seed),
      weights_(capacity * components),
      noise_(capacity * latent),
      stds_(components * latent),
      slopes_(components * latent),
      log_std_sums_(components * latent) {}

void RelaxedDraw::draw(const Mixtures& q, const Chain* chains, uint32_t step, float* z) {
  const size_t components = q.components, d = q.latent, stride = q.component_stds ? d : 0;
  for (size_t j = 0; j < (stride > 0 ? components * d : d); ++j) {
    const StdTerms terms = std_terms(q.log_stds[j]);
    stds_[j] = 1 / terms.inverse;
    slopes_[j] = stds_[j] * terms.slope;
  }
  for (size_t i = 0; i < q.n; ++i) {
    double* weights = weights_.data() + i * components;
    for (size_t k = 0; k < components; ++k) {
      const auto words = rng_.bits(chains[i], step, Purpose::relaxed_component, static_cast<uint32_t>(k / 4));
      const double gumbel = -std::log(-std::log(Philox::unit(words[k % 4])));
      weights[k] = (static_cast<double>(q.logits[i * components + k]) + gumbel) / temperature_;
    }
    const double norm = log_sum_exp(weights, components);
    for (size_t k = 0; k < components; ++k) weights[k] = std::exp(weights[k] - norm);
    float* noise = noise_.data() + i * d;
    rng_.normal(chains[i], step, Purpose::relaxed_normal, noise, d);
    const float* means = q.means + i * components * d;
    for (size_t j = 0; j < d; ++j) {
      double sum = 0;
      for (size_t k = 0; k < components; ++k)
        sum += weights[k] * (static_cast<double>(means[k * d + j]) +
                             stds_[k * stride + j] * static_cast<double>(noise[j]));
      z[i * d + j] = static_cast<float>(sum);
    }
  }
}

void RelaxedDraw::gradients(const Mixtures& q, const float* dz, double scale, double bound, float* d_logits,
                            float* d_means, float* d_log_stds) {
  const size_t components = q.components, d = q.latent, stride = q.component_stds ? d : 0;
  const size_t std_count = stride > 0 ? components * d : d;
  std::fill_n(log_std_sums_.begin(), std_count, 0.0);
  for (size_t i = 0; i < q.n; ++i) {
    const double* weights = weights_.data() + i * components;
    const float *noise = noise_.data() + i * d, *g = dz + i * d, *means = q.means + i * components * d;
    // ∂/∂w_k = dz·(μ_k + σ_k ε); through the softmax: w_k (∂/∂w_k − Σ_l w_l ∂/∂w_l)/τ.
    double mean_slope = 0;
    for (size_t k = 0; k < components; ++k) {
      double slope = 0;
      for (size_t j = 0; j < d; ++j) {
        const size_t s = k * stride + j;
        const double m = static_cast<double>(means[k * d + j]), u = scale * static_cast<double>(g[j]),
                     e = static_cast<double>(noise[j]);
        slope += u * (m + stds_[s] * e);
        d_means[(i * components + k) * d + j] =
            static_cast<float>(weights[k] * u * (bound > 0 ? bound - m * m / bound : 1));
        log_std_sums_[s] += weights[k] * u * e * slopes_[s];
      }
      mean_slope += weights[k] * slope;
      d_logits[i * components + k] = static_cast<float>(slope);
    }
    for (size_t k = 0; k < components; ++k) {
      float& logit = d_logits[i * components + k];
      logit = static_cast<float>(weights[k] * (static_cast<double>(logit) - mean_slope) / temperature_);
    }
  }
  std::transform(log_std_sums_.begin(), log_std_sums_.begin() + static_cast<std::ptrdiff_t>(std_count),
                 d_log_stds, [](double sum) { return static_cast<float>(sum); });
}

RelaxedLoss::RelaxedLoss(Device& device, const TranslatorConfig& sizes, Objective& objective, size_t capacity,
                         size_t auxiliary_begin, double temperature, uint64_t seed)
    : device_(device),
      objective_(objective, nullptr),
      auxiliary_{auxiliary_begin, sizes.auxiliary},
      rng_(seed),
      draw_(capacity, sizes.components, sizes.latent, temperature, seed),
      logits_(capacity * sizes.components),
      means_(logits_.size() * sizes.latent),
      log_stds_(sizes.components * sizes.latent),
      y_(capacity * auxiliary_.size),
      d_logits_(logits_.size()),
      d_means_(means_.size()),
      d_log_stds_(log_stds_.size()),
      d_y_(y_.size()),
      z_(capacity * sizes.latent),
      dz_(z_.size()),
      latents_(y_.empty() ? 0 : z_.size() + y_.size()),
      d_latents_(latents_.size()),
      energies_(capacity),
      losses_(capacity) {}

void RelaxedLoss::prepare(const Chain* chains, uint32_t step, const float* conditions, CancelToken& cancel) {
  chains_ = chains;
  step_ = step;
  conditions_ = conditions;
  cancel_ = &cancel;
}

void RelaxedLoss::evaluate(const MixtureView& q, const float* y, float bound, double weight, double* energies,
                           const Gradients& gradients) {
  const size_t n = q.n, logits = n * q.components, means = logits * q.latent,
               stds = q.component_stds ? q.components * q.latent : q.latent, own = auxiliary_.size,
               d = q.latent + own;
  device_.download(logits_.data(), q.logits, logits * sizeof(float));
  device_.download(means_.data(), q.means, means * sizeof(float));
  device_.download(log_stds_.data(), q.log_stds, stds * sizeof(float));
  const RelaxedDraw::Mixtures mixtures{
      n, q.components, q.latent, logits_.data(), means_.data(), log_stds_.data(), q.component_stds};
  draw_.draw(mixtures, chains_, step_, z_.data());
  if (own > 0) {
    device_.download(y_.data(), y, n * own * sizeof(float));
    for (size_t i = 0; i < n; ++i)
      auxiliary_.join(z_.data() + i * q.latent, y_.data() + i * own, d, latents_.data() + i * d);
  }
  const float* at = own > 0 ? latents_.data() : z_.data();
  float* slope = own > 0 ? d_latents_.data() : dz_.data();
  const EnergyDraws draws{rng_, chains_, step_};
  if (gradients.logits == nullptr)
    objective_.energy(at, conditions_, n, draws, energies_.data(), *cancel_);
  else
    objective_.evaluate(at, conditions_, n, draws, energies_.data(), slope, *cancel_);
  std::copy_n(energies_.begin(), n, losses_.begin());
  device_.upload(energies, losses_.data(), n * sizeof(double));
  if (gradients.logits == nullptr) return;
  if (own > 0) {
    device_.download(d_y_.data(), gradients.y, n * own * sizeof(float));
    for (size_t i = 0; i < n; ++i) {
      auxiliary_.split(slope + i * d, d, dz_.data() + i * q.latent, y_.data());
      for (size_t j = 0; j < own; ++j)
        d_y_[i * own + j] += static_cast<float>(weight * static_cast<double>(y_[j]));
    }
    device_.upload(gradients.y, d_y_.data(), n * own * sizeof(float));
  }
  draw_.gradients(mixtures, dz_.data(), weight, static_cast<double>(bound), d_logits_.data(), d_means_.data(),
                  d_log_stds_.data());
  device_.upload(gradients.logits, d_logits_.data(), logits * sizeof(float));
  device_.upload(gradients.means, d_means_.data(), means * sizeof(float));
  device_.upload(gradients.log_stds, d_log_stds_.data(), stds * sizeof(float));
}

}  // namespace tr0n
