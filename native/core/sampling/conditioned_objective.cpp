#include "core/sampling/conditioned_objective.h"

namespace tr0n {

ConditionedObjective::ConditionedObjective(Objective& objective, Device& device, const float* conditions,
                                           size_t count)
    : objective_(objective),
      device_(device),
      side_(objective.device() != nullptr ? *objective.device() : cpu_device()),
      conditions_(conditions),
      index_(nullptr, &side_),
      latents_(&device, &side_),
      energies_(&device, &side_),
      gradients_(&device, &side_) {
  if (side_.host_memory()) return;
  table_.emplace(side_, count * objective.condition_size());
  table_->upload(conditions, table_->size());
  conditions_ = table_->data();
}

const float* ConditionedObjective::expand(const ObjectiveRows& rows) {
  const size_t m = objective_.condition_size();
  if (!expanded_ || expanded_->size() < rows.count * m) {
    expanded_.reset();
    expanded_.emplace(side_, rows.count * m);
  }
  const uint32_t* index =
      same_memory(&device_, &side_) ? rows.device_conditions : index_.send(rows.conditions, rows.count);
  side_.kernels().rows->copy({rows.count, m, conditions_, m, index, 0, 1, expanded_->data(), m});
  return expanded_->data();
}

void ConditionedObjective::evaluate(const ObjectiveRows& rows, const EnergyDraws& draws, float* energies,
                                    float* gradients, CancelToken& cancel) {
  const size_t n = rows.count, d = objective_.latent_size();
  const float* c = expand(rows);
  const float* z = latents_.send(rows.latents, n * d);
  float* e = energies_.room(energies, n);
  if (gradients == nullptr) {
    objective_.energy(z, c, n, draws, e, cancel);
  } else {
    objective_.evaluate(z, c, n, draws, e, gradients_.room(gradients, n * d), cancel);
    gradients_.fetch(gradients, n * d);
  }
  energies_.fetch(energies, n);
}

}  // namespace tr0n
