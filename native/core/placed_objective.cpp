#include "core/placed_objective.h"

namespace tr0n {

PlacedObjective::PlacedObjective(Objective& objective, Device* place)
    : objective_(objective),
      place_(place),
      z_(place, objective.device()),
      c_(place, objective.device()),
      energies_(place, objective.device()),
      gradients_(place, objective.device()) {}

void PlacedObjective::energy(const float* z, const float* c, size_t n, const EnergyDraws& draws,
                             float* energies, CancelToken& cancel) {
  objective_.energy(z_.send(z, n * latent_size()), c_.send(c, n * condition_size()), n, draws,
                    energies_.room(energies, n), cancel);
  energies_.fetch(energies, n);
}

void PlacedObjective::evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws,
                               float* energies, float* gradients, CancelToken& cancel) {
  objective_.evaluate(z_.send(z, n * latent_size()), c_.send(c, n * condition_size()), n, draws,
                      energies_.room(energies, n), gradients_.room(gradients, n * latent_size()), cancel);
  energies_.fetch(energies, n);
  gradients_.fetch(gradients, n * latent_size());
}

}  // namespace tr0n
