#include <algorithm>

#include "core/prior/draw.h"
#include "core/prior/latent_source.h"
#include "core/sampling/run.h"

namespace tr0n {
namespace {

/// The mean of q's heaviest component, for all chains of a condition.
void start_at_modes(SamplerRun& run) {
  const size_t components = run.mixture().view().components, count = run.request.count;
  const std::vector<float> logits = run.mixture().logits();
  for (size_t b = 0; b < run.request.condition_count; ++b) {
    const auto first = logits.begin() + static_cast<std::ptrdiff_t>(b * components);
    const auto heaviest =
        static_cast<size_t>(std::max_element(first, first + static_cast<std::ptrdiff_t>(components)) - first);
    const std::vector<float> means = run.mixture().means(b);
    for (size_t i = 0; i < count; ++i)
      std::copy_n(means.data() + heaviest * run.d, run.d, run.z.host() + (b * count + i) * run.d);
  }
  run.z.push();
}

/// y of every chain is the auxiliary head's, which has no density to draw from.
void start_at_auxiliary(SamplerRun& run) {
  const auto [begin, size] = run.auxiliary;
  if (size == 0) return;
  run.z.pull();
  for (size_t i = 0; i < run.n; ++i)
    std::copy_n(run.mixture().auxiliary(run.conditions.host()[i]), size, run.z.host() + i * run.d + begin);
  run.z.push();
}

/// The translator knows nothing of the prior's support. Beyond it the target is 0, a chain there could take
/// no step, and the generator has never seen such a latent.
void move_inside_support(SamplerRun& run) {
  if (!run.prior.bounded()) return;
  run.z.pull();
  for (size_t i = 0; i < run.n; ++i) run.prior.move_inside(run.z.host() + i * run.d);
  run.z.push();
}

}  // namespace

bool start_chains(SamplerRun& run) {
  switch (run.config.start) {
    case Start::resample:
      return start_resampled(run);
    case Start::mode:
      start_at_modes(run);
      break;
    case Start::translator:
      if (run.translator->config().deterministic) {
        start_at_modes(run);
        break;
      }
      run.kernels.mixture->draw({run.mixture().view(), run.conditions.device(), run.chains.device(), run.n, 0,
                                 Purpose::candidate_component, Purpose::candidate_normal, run.rng,
                                 run.z.device()});
      start_at_auxiliary(run);
      break;
    case Start::prior:
      if (run.request.starts != nullptr) {
        std::copy_n(run.request.starts, run.n * run.d, run.z.host());
        run.z.push();
        break;
      }
      if (run.request.source != nullptr) {
        run.request.source->draw(run.config.seed, run.request.streams, run.request.condition_count,
                                 run.request.first, run.request.count, Purpose::prior, run.z.host(),
                                 run.cancel);
        run.z.push();
        break;
      }
      for (size_t b = 0; b < run.request.condition_count; ++b)
        draw_prior(run.prior, run.config.seed, run.request.streams[b], run.request.first, run.request.count,
                   Purpose::prior, run.z.host() + b * run.request.count * run.d);
      run.z.push();
      break;
  }
  run.check_latents(0);
  if (run.config.start != Start::prior) move_inside_support(run);
  return false;
}

}  // namespace tr0n
