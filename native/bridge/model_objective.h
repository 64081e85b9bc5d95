#pragma once
#include <memory>

#include "bridge/row_runner.h"
#include "core/objective.h"

namespace tr0n {

/// E(z, c) as one model of rows (z, c) → E, and E with ∂E/∂z as another.
class ModelObjective final : public Objective {
 public:
  /// `gradient` is null where only energies are needed. Outputs in the order above. Throws ERR_SHAPE_MISMATCH
  /// where the two take different rows.
  ModelObjective(std::shared_ptr<const BlockModel> energy, std::shared_ptr<const BlockModel> gradient,
                 const RowLimits& limits);
  size_t latent_size() const override { return latent_size_; }
  size_t condition_size() const override { return condition_size_; }
  bool has_gradient() const override { return gradient_ != nullptr; }
  /// The one that both models work on; null where they do not, and copy what each needs.
  Device* device() const override { return memory_.device; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override;
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                float* gradients, CancelToken& cancel) override;

  /// The block rules in force, for tests and reports; prepares what is not yet.
  BlockRule energy_rule(CancelToken& cancel);
  BlockRule gradient_rule(CancelToken& cancel);

 private:
  void prepare(RowRunner& runner, size_t outputs, CancelToken& cancel) const;
  size_t latent_size_ = 0, condition_size_ = 0;
  Place memory_;
  std::unique_ptr<RowRunner> energy_, gradient_;
};

}  // namespace tr0n
