#pragma once
#include <memory>
#include <string>

#include "bridge/row_runner.h"
#include "core/objective.h"

namespace tr0n {

/// How a session's values serve as E(z, c).
struct OnnxObjectiveConfig {
  std::shared_ptr<const Session> energy;
  std::shared_ptr<const Session> gradient;  ///< null where only energies are needed
  std::string latent_input, condition_input, energy_output, gradient_output;
  std::vector<int64_t> latent_shape, condition_shape;  ///< of one row
  RowLimits limits;
};

/// E(z, c) as one joined graph, and E with ∂E/∂z as another (the first, differentiated).
class OnnxObjective final : public Objective {
 public:
  explicit OnnxObjective(const OnnxObjectiveConfig& config);
  size_t latent_size() const override { return latent_size_; }
  size_t condition_size() const override { return condition_size_; }
  bool has_gradient() const override { return gradient_ != nullptr; }
  void energy(const float* z, const float* c, size_t n, float* energies, CancelToken& cancel) override;
  void evaluate(const float* z, const float* c, size_t n, float* energies, float* gradients,
                CancelToken& cancel) override;

  /// The block rules in force, for tests and reports; prepares what is not yet.
  BlockRule energy_rule(CancelToken& cancel);
  BlockRule gradient_rule(CancelToken& cancel);

 private:
  void prepare(RowRunner& runner, size_t outputs, CancelToken& cancel) const;
  size_t latent_size_ = 0, condition_size_ = 0;
  std::unique_ptr<RowRunner> energy_, gradient_;
};

}  // namespace tr0n
