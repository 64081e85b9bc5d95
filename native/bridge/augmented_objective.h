#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "bridge/augmentation.h"
#include "bridge/model_objective.h"

namespace tr0n {

/// The parts of an augmented energy, each a model of rows.
struct AugmentedParts {
  std::shared_ptr<const BlockModel> generator;  ///< z → image
  std::shared_ptr<const BlockModel> pullback;  ///< (z, cotangent of the image) → ∂/∂z; null without gradients
  std::shared_ptr<const BlockModel> augment;  ///< (image, parameters) → image'
  /// (parameters, cotangent of image') → cotangent of the image, of which augmentation is an affine function;
  /// null without gradients
  std::shared_ptr<const BlockModel> transpose;
  std::shared_ptr<ModelObjective> objective;  ///< (image', c) → E
};

/// E(z, c) = mean over A copies a of E(T_a G(z), c), with T_a drawn by (seed, chain, step, a). The generator
/// runs once a chain and the copies are rows of their own behind it: they share the threads, their batches
/// are the encoder's whatever the generator's, and memory does not grow with A. The price is one more forward
/// pass of the generator for a gradient (see PullbackBlock).
class AugmentedObjective final : public Objective {
 public:
  /// The limits are those of the generator; `max_batch` is that of rows of augmentation, which cost little.
  /// Throws ERR_SHAPE_MISMATCH where the parts do not fit each other.
  AugmentedObjective(AugmentedParts parts, const AugmentationPolicy& policy,
                     const RowLimits& generator_limits, size_t max_batch);
  ~AugmentedObjective() override;
  size_t latent_size() const override { return generator_->model().inputs()[0].size; }
  size_t condition_size() const override { return objective_->condition_size(); }
  bool has_gradient() const override { return pullback_ != nullptr; }
  /// The one that all parts work on: then images never leave it. Null where they do not.
  Device* device() const override { return memory_.device; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override;
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                float* gradients, CancelToken& cancel) override;

 private:
  /// Buffers of one call, kept for later ones; several calls may be under way.
  struct Workspace;
  class Lease;
  struct Call;

  void clear(float* to, size_t rows, size_t width, Workspace& workspace) const;
  void spread(const float* from, size_t width, size_t row, size_t rows, float* to) const;
  void prepare(bool gradient, CancelToken& cancel);
  void evaluate_chains(const Call& call, size_t first, size_t count, Workspace& workspace,
                       CancelToken& cancel);
  void evaluate_copies(const Call& call, size_t first_chain, size_t row, size_t rows, Workspace& workspace,
                       CancelToken& cancel);
  void run(const Call& call, CancelToken& cancel);

  const AugmentationPolicy policy_;
  size_t image_size_ = 0;
  Place memory_;     ///< of all arrays
  Device& compute_;  ///< that moves and adds them: the one of their memory
  std::unique_ptr<RowRunner> generator_, pullback_, augment_, transpose_;
  std::shared_ptr<ModelObjective> objective_;
  std::mutex workspaces_mutex_;
  std::vector<std::unique_ptr<Workspace>> workspaces_;
};

}  // namespace tr0n
