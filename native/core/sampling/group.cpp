#include "core/sampling/group.h"

namespace tr0n {

SamplerGroup::SamplerGroup(SamplerRun& run, const UpdateGroup& update, size_t begin, size_t points,
                           uint32_t noise_block)
    : run_(run),
      update_(update),
      begin_(begin),
      size_(update.size),
      moved_(points * update.size),
      noise_block_(noise_block),
      prior_(run.device, run.prior, begin, update.size),
      z_(run.device, run.n * size_),
      gradients_(run.device, run.n * size_),
      momenta_(run.device, stays(update.rule) ? 0 : run.n * moved_),
      second_moments_(run.device, update.rule == Rule::adam ? run.n * moved_ : 0),
      scratch_(run.device,
               update.rule == Rule::adam && (update.noise > 0 || update.bound > 0) ? run.n * moved_ : 0) {
  if (update.rule != Rule::adam) return;
  momenta_.fill(0);
  second_moments_.fill(0);
}

void SamplerGroup::take_latents() {
  run_.kernels.rows->copy({run_.n, size_, run_.z.device() + begin_, run_.d, nullptr, 0, 1, z_.data(), size_});
}

void SamplerGroup::give_latents() {
  run_.kernels.rows->copy({run_.n, size_, z_.data(), size_, nullptr, 0, 1, run_.z.device() + begin_, run_.d});
}

void SamplerGroup::take_gradients(const float* rows) {
  run_.kernels.rows->copy({run_.n, size_, rows + begin_, run_.d, nullptr, 0, 1, gradients_.data(), size_});
  run_.kernels.target->gradient({prior_.view(), run_.config.fidelity, run_.config.prior_weight, run_.n,
                                 z_.data(), nullptr, nullptr, gradients_.data()});
}

void SamplerGroup::move(size_t t, const float* gradients, float* x) {
  if (stays(update_.rule)) return;
  const auto step = static_cast<uint32_t>(t);
  const auto noise = static_cast<float>(update_.noise), bound = static_cast<float>(update_.bound);
  if (update_.rule == Rule::sgld) {
    run_.kernels.langevin->update({run_.n, moved_, run_.chains.device(), step, noise_block_, run_.rng, t == 1,
                                   static_cast<float>(update_.learning_rate),
                                   static_cast<float>(update_.momentum), noise, update_.clip, bound,
                                   gradients, momenta_.data(), x});
    return;
  }
  AdamStep adam;
  adam.learning_rate = update_.learning_rate;
  adam.clip = update_.clip;
  adam.step = t - 1;
  run_.kernels.optimise->rows({adam, run_.n, moved_, gradients, momenta_.data(), second_moments_.data(), x});
  // Noise and bound are sgld's, of a step that goes nowhere.
  if (scratch_.size() > 0)
    run_.kernels.langevin->update({run_.n, moved_, run_.chains.device(), step, noise_block_, run_.rng, true,
                                   0, 0, noise, 0, bound, gradients, scratch_.data(), x});
}

bool is_point(const SamplerRun& run, size_t begin, const UpdateGroup& update) {
  return update.rule == Rule::kept || run.auxiliary.holds(begin, update.size);
}

std::vector<std::unique_ptr<SamplerGroup>> make_groups(SamplerRun& run, size_t points) {
  std::vector<UpdateGroup> updates = run.config.groups;
  if (updates.empty()) {
    updates.emplace_back();
    updates[0].size = run.d;
  }
  std::vector<std::unique_ptr<SamplerGroup>> groups;
  size_t begin = 0, block = 0;
  for (const UpdateGroup& update : updates) {
    const size_t own = is_point(run, begin, update) ? 1 : points;
    groups.push_back(std::make_unique<SamplerGroup>(run, update, begin, own, static_cast<uint32_t>(block)));
    begin += update.size;
    block += (own * update.size + 3) / 4;
  }
  return groups;
}

}  // namespace tr0n
