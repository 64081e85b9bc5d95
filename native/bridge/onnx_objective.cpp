#include "bridge/onnx_objective.h"

namespace tr0n {

namespace {

std::unique_ptr<RowRunner> make_runner(const OnnxObjectiveConfig& config,
                                       std::shared_ptr<const Session> session,
                                       std::vector<std::string> outputs) {
  return std::make_unique<RowRunner>(
      std::move(session),
      std::vector<RowInput>{{config.latent_input, config.latent_shape, 0},
                            {config.condition_input, config.condition_shape, 0}},
      std::move(outputs), config.limits);
}

}  // namespace

OnnxObjective::OnnxObjective(const OnnxObjectiveConfig& config)
    : latent_size_(element_count(config.latent_shape)),
      condition_size_(element_count(config.condition_shape)),
      energy_(make_runner(config, config.energy, {config.energy_output})) {
  if (config.gradient)
    gradient_ = make_runner(config, config.gradient, {config.energy_output, config.gradient_output});
}

void OnnxObjective::prepare(RowRunner& runner, size_t outputs, CancelToken& cancel) const {
  runner.prepare(cancel);
  const size_t expected[] = {1, latent_size_};
  for (size_t k = 0; k < outputs; ++k)
    if (runner.output_size(k) != expected[k])
      throw Error("ERR_SHAPE_MISMATCH", runner.session().name() + ": the " +
                                            (k == 0 ? "energy" : "gradient") + " has rows of " +
                                            std::to_string(runner.output_size(k)) + " elements, expected " +
                                            std::to_string(expected[k]));
}

void OnnxObjective::energy(const float* z, const float* c, size_t n, float* energies, CancelToken& cancel) {
  prepare(*energy_, 1, cancel);
  const float* inputs[] = {z, c};
  energy_->run(inputs, n, &energies, cancel);
}

void OnnxObjective::evaluate(const float* z, const float* c, size_t n, float* energies, float* gradients,
                             CancelToken& cancel) {
  if (!gradient_)
    throw Error("ERR_NO_GRADIENT", energy_->session().name() + ": this objective has no gradient");
  prepare(*gradient_, 2, cancel);
  const float* inputs[] = {z, c};
  float* outputs[] = {energies, gradients};
  gradient_->run(inputs, n, outputs, cancel);
}

BlockRule OnnxObjective::energy_rule(CancelToken& cancel) {
  energy_->prepare(cancel);
  return energy_->rule();
}

BlockRule OnnxObjective::gradient_rule(CancelToken& cancel) {
  if (!gradient_) return {};
  gradient_->prepare(cancel);
  return gradient_->rule();
}

}  // namespace tr0n
