#pragma once
#include "core/objective.h"
#include "device/crossing.h"

namespace tr0n {

/// An objective for callers whose arrays lie in the memory of `place` (null: the host's), wherever it works
/// itself: what lies elsewhere is copied, and nothing where both are the same. For one thread at a time.
class PlacedObjective final : public Objective {
 public:
  PlacedObjective(Objective& objective, Device* place);
  size_t latent_size() const override { return objective_.latent_size(); }
  size_t condition_size() const override { return objective_.condition_size(); }
  bool has_gradient() const override { return objective_.has_gradient(); }
  Device* device() const override { return place_; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override;
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                float* gradients, CancelToken& cancel) override;

 private:
  Objective& objective_;
  Device* place_;
  Crossing<float> z_, c_, energies_, gradients_;
};

}  // namespace tr0n
