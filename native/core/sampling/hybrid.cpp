/// The official sampler: method.md "Sampling (official)". Every chain moves all K means of its mixture by the
/// rules of their groups, and soft weights over them by Adam; its latent is their blend. From the prior there
/// is one component, a draw of it.
///
/// An auxiliary head's y is one vector a chain, as in the official code, and has no weights. K copies of it
/// in the place of the means would blend to the same y, and their weights would never move (μ_k − z = 0); but
/// copy k has the gradient π_k·g, so that clipping sees another norm and momentum SGD another step: only
/// unclipped Adam, which does not mind the factor, would do the same, but for its epsilon.
#include <algorithm>
#include <memory>
#include <vector>

#include "core/sampling/group.h"

namespace tr0n {
namespace {

/// A group's means and weights, [n, K, size].
class Blend {
 public:
  Blend(SamplerRun& run, SamplerGroup& group, size_t components)
      : run_(run),
        group_(group),
        components_(components),
        size_(components * group.size()),
        means_(run.device, run.n * size_),
        weights_(run.device, run.n * size_),
        d_means_(run.device, run.n * size_),
        d_weights_(run.device, run.n * size_),
        first_moments_(run.device, run.n * size_),
        second_moments_(run.device, run.n * size_) {
    first_moments_.fill(0);
    second_moments_.fill(0);
  }

  /// Chain i begins at means [K, d] and logits [K], in the weights of every dimension.
  void start(size_t i, const float* means, const float* logits) {
    const size_t size = group_.size();
    for (size_t k = 0; k < components_; ++k) {
      std::copy_n(means + k * run_.d + group_.begin(), size, means_.host() + i * size_ + k * size);
      std::fill_n(weights_.host() + i * size_ + k * size, size, logits[k]);
    }
  }
  void push() {
    means_.push();
    weights_.push();
  }
  void combine() {
    run_.kernels.hybrid->combine(
        {run_.n, components_, group_.size(), means_.device(), weights_.device(), group_.latents()});
    group_.give_latents();
  }
  void move(size_t t, const float* gradients) {
    group_.take_gradients(gradients);
    if (stays(group_.update().rule)) return;
    run_.kernels.hybrid->gradients({run_.n, components_, group_.size(), means_.device(), weights_.device(),
                                    group_.latents(), group_.gradients(), d_means_.data(),
                                    d_weights_.data()});
    group_.move(t, d_means_.data(), means_.device());
    AdamStep adam;
    adam.learning_rate = run_.config.weight_learning_rate;
    adam.clip = group_.update().clip;
    adam.step = t - 1;
    run_.kernels.optimise->rows({adam, run_.n, size_, d_weights_.data(), first_moments_.data(),
                                 second_moments_.data(), weights_.device()});
    combine();
  }

 private:
  SamplerRun& run_;
  SamplerGroup& group_;
  const size_t components_, size_;
  Mirror<float> means_, weights_;
  Buffer<float> d_means_, d_weights_, first_moments_, second_moments_;
};

/// Groups that move as one vector a chain, whose start is in the run's latents.
using Points = std::vector<SamplerGroup*>;

/// What is kept begins at a draw of q(z|c); of a deterministic translator at its point.
void draw_kept(SamplerRun& run, const Points& points) {
  if (std::none_of(points.begin(), points.end(),
                   [](const SamplerGroup* point) { return point->update().rule == Rule::kept; }))
    return;
  if (run.translator->config().deterministic) {
    for (size_t i = 0; i < run.n; ++i)
      std::copy_n(run.mixture().means(run.conditions.host()[i]).data(), run.d, run.z.host() + i * run.d);
    return;
  }
  run.kernels.mixture->draw({run.mixture().view(), run.conditions.device(), run.chains.device(), run.n, 0,
                             Purpose::candidate_component, Purpose::candidate_normal, run.rng,
                             run.z.device()});
  run.z.pull();
}

void start_parts(SamplerRun& run, std::vector<std::unique_ptr<Blend>>& blends, const Points& points) {
  const auto start = [&](size_t chain, const float* means, const float* logits) {
    for (const auto& blend : blends) blend->start(chain, means, logits);
    for (const SamplerGroup* point : points) {
      if (point->update().rule == Rule::kept) continue;
      // The same in all means.
      std::copy_n(means + point->begin(), point->size(), run.z.host() + chain * run.d + point->begin());
    }
  };
  if (run.config.start == Start::prior) {
    start_chains(run);
    const float logit = 0;
    run.z.pull();
    for (size_t i = 0; i < run.n; ++i) start(i, run.z.host() + i * run.d, &logit);
  } else {
    draw_kept(run, points);
    const std::vector<float> logits = run.mixture().logits();
    const size_t count = run.request.count, components = run.mixture().view().components;
    for (size_t b = 0; b < run.request.condition_count; ++b) {
      const std::vector<float> means = run.mixture().means(b);
      for (size_t i = b * count; i < (b + 1) * count; ++i)
        start(i, means.data(), logits.data() + b * components);
    }
  }
  if (!points.empty()) run.z.push();
  for (const auto& blend : blends) {
    blend->push();
    blend->combine();
  }
  for (SamplerGroup* point : points) point->take_latents();
}

}  // namespace

void run_hybrid(SamplerRun& run) {
  const size_t steps = run.config.steps;
  const size_t components = run.config.start == Start::prior ? 1 : run.mixture().view().components;
  Buffer<float> gradients(run.device, run.n * run.d);
  std::vector<std::unique_ptr<SamplerGroup>> groups = make_groups(run, components);
  std::vector<std::unique_ptr<Blend>> blends;
  Points points;
  for (const auto& group : groups) {
    if (is_point(run, group->begin(), group->update()))
      points.push_back(group.get());
    else
      blends.push_back(std::make_unique<Blend>(run, *group, components));
  }
  start_parts(run, blends, points);
  run.check_latents(0);

  for (size_t t = 1; t <= steps; ++t) {
    run.evaluate(run.all(run.z.device()), run.energies.device(), gradients.data(), static_cast<uint32_t>(t));
    run.observe();
    run.require_finite_energies(t - 1);
    run.report(t - 1);
    run.cancel.throw_if_cancelled();
    for (const auto& blend : blends) blend->move(t, gradients.data());
    for (SamplerGroup* point : points) point->move_latents(t, gradients.data());
    run.check_latents(t);
  }
  run.energy(run.all(run.z.device()), run.energies.device());
  run.observe();
  run.require_finite_energies(steps);
  run.report(steps);
}

}  // namespace tr0n
