#pragma once
#include "cuda/launch/queue.h"
#include "device/kernels.h"

namespace tr0n::cuda {

/// kernels.h for CUDA: one file of this folder per group, the kernels themselves in native/kernels.
class CudaKernels final : public Kernels {
 public:
  /// `queue` must outlive this.
  explicit CudaKernels(const Queue& queue) : queue_(queue) {}

  void linear_forward(const MatrixMode& mode, size_t n, const LinearForward* layers,
                      size_t count) const override;
  void linear_backward_input(const MatrixMode& mode, size_t n, const LinearAdjoint* layers, size_t count,
                             const LinearInput& input) const override;
  void linear_backward_weight(const MatrixMode& mode, size_t n, const LinearGradient* layers,
                              size_t count) const override;
  void mixture_nll(const MixtureView& q, const float* z, float scale, float bound, double* nll,
                   float* d_logits, float* d_means, float* d_log_stds, float* rows) const override;
  void squared_error(size_t n, size_t size, const float* prediction, const float* target, float scale,
                     float bound, double* error, float* gradient) const override;
  void weighted_sum(size_t n, const double* x, double x_factor, const double* y, double y_factor,
                    double* out) const override;
  void mixture_draw(const MixtureView& q, const uint32_t* rows, const Chain* chains, size_t n, uint32_t step,
                    Purpose choice, Purpose normal, const Philox& rng, float* z) const override;
  void mixture_log_density(const MixtureView& q, const uint32_t* rows, const float* z, size_t n,
                           double* out) const override;
  void condition_noise(ConditionNoise kind, float scale, const float* factor, size_t n, size_t m,
                       const Chain* chains, uint32_t step, const Philox& rng, const float* c,
                       float* workspace, float* out) const override;
  void sample_labels(size_t n, size_t m, const Chain* chains, uint32_t step, const Philox& rng,
                     const float* c, float* out) const override;
  void optimise(const AdamStep* step, size_t count, const float* gradients, const AdamArrays& arrays,
                const double* loss, StepTotals* totals) const override;
  void optimise_linear(const MatrixMode& mode, const AdamStep* step, size_t n, const LinearUpdate* layers,
                       size_t count, const VectorUpdate* vectors, size_t vector_count, const double* loss,
                       StepTotals* totals) const override;
  size_t fused_update_rows() const override;
  void adam_rows(const AdamStep& adam, size_t n, size_t size, const float* gradients, float* m, float* v,
                 float* x) const override;
  void draw_candidates(const MixtureView& q, const Prior& prior, double alpha, const uint32_t* rows,
                       const Chain* chains, const uint32_t* steps, size_t n, const Philox& rng,
                       float* z) const override;
  void importance_weights(const MixtureView& q, const Prior& prior, double alpha, double fidelity,
                          double prior_weight, const uint32_t* rows, size_t n, const float* z,
                          const float* energies, double* log_weights) const override;
  void resample(size_t n, size_t count, size_t d, const Chain* chains, uint32_t first_step, const Philox& rng,
                const float* z, const float* energies, const double* log_weights, ResampleState* states,
                float* best) const override;
  void target_gradient(const Prior& prior, double fidelity, double prior_weight, size_t n, const float* z,
                       const float* energies, double* targets, float* gradients) const override;
  void mala_propose(size_t n, size_t d, const MalaState* states, const Chain* chains, uint32_t step,
                    const Philox& rng, const float* z, const float* drift, float* proposal) const override;
  void mala_accept(size_t n, size_t d, const Chain* chains, uint32_t step, const Philox& rng, double adapt,
                   double target_accept, const float* proposal, const float* proposal_drift,
                   const float* proposal_energies, const double* proposal_targets, MalaState* states,
                   float* z, float* drift, float* energies) const override;
  void langevin_update(size_t n, size_t d, const Chain* chains, uint32_t step, uint32_t first_block,
                       const Philox& rng, bool first, float learning_rate, float momentum, float noise,
                       double clip, float bound, const float* gradients, float* momenta,
                       float* z) const override;
  void hybrid_combine(size_t n, size_t components, size_t d, const float* means, const float* weights,
                      float* z) const override;
  void hybrid_gradients(size_t n, size_t components, size_t d, const float* means, const float* weights,
                        const float* z, const float* gradients, float* d_means,
                        float* d_weights) const override;

 private:
  const Queue& queue_;
};

}  // namespace tr0n::cuda
