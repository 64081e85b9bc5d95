#include "bridge/model_objective.h"

namespace tr0n {

ModelObjective::ModelObjective(std::shared_ptr<const BlockModel> energy,
                               std::shared_ptr<const BlockModel> gradient, const RowLimits& limits)
    : latent_size_(energy->inputs()[0].size), condition_size_(energy->inputs()[1].size) {
  if (gradient &&
      (gradient->inputs()[0].size != latent_size_ || gradient->inputs()[1].size != condition_size_))
    throw Error("ERR_SHAPE_MISMATCH", gradient->name() + ": its rows are not those of " + energy->name());
  memory_ = energy->place();
  if (gradient && gradient->place() != memory_) memory_ = {};
  energy_ = std::make_unique<RowRunner>(std::move(energy), limits.part("/energy"));
  if (gradient) gradient_ = std::make_unique<RowRunner>(std::move(gradient), limits.part("/gradient"));
}

void ModelObjective::prepare(RowRunner& runner, size_t outputs, CancelToken& cancel) const {
  runner.prepare(cancel);
  const size_t expected[] = {1, latent_size_};
  for (size_t k = 0; k < outputs; ++k)
    if (runner.output_size(k) != expected[k])
      throw Error("ERR_SHAPE_MISMATCH", runner.model().name() + ": the " + (k == 0 ? "energy" : "gradient") +
                                            " has rows of " + std::to_string(runner.output_size(k)) +
                                            " elements, expected " + std::to_string(expected[k]));
}

void ModelObjective::energy(const float* z, const float* c, size_t n, const EnergyDraws&, float* energies,
                            CancelToken& cancel) {
  prepare(*energy_, 1, cancel);
  const float* inputs[] = {z, c};
  energy_->run(inputs, n, &energies, cancel, memory_);
}

void ModelObjective::evaluate(const float* z, const float* c, size_t n, const EnergyDraws&, float* energies,
                              float* gradients, CancelToken& cancel) {
  if (!gradient_)
    throw Error("ERR_NO_GRADIENT", energy_->model().name() + ": this objective has no gradient");
  prepare(*gradient_, 2, cancel);
  const float* inputs[] = {z, c};
  float* outputs[] = {energies, gradients};
  gradient_->run(inputs, n, outputs, cancel, memory_);
}

BlockRule ModelObjective::energy_rule(CancelToken& cancel) {
  energy_->prepare(cancel);
  return energy_->rule();
}

BlockRule ModelObjective::gradient_rule(CancelToken& cancel) {
  if (!gradient_) return {};
  gradient_->prepare(cancel);
  return gradient_->rule();
}

}  // namespace tr0n
