#include "core/error.h"
#include "cuda/kernels.h"

// Kernels that have no CUDA body yet; whoever writes one deletes it here. Gone when all have.
namespace tr0n::cuda {
namespace {

[[noreturn]] void pending(const char* name) {
  throw Error("ERR_DEVICE_UNAVAILABLE", std::string(name) + " has no CUDA kernel yet");
}

}  // namespace

void CudaKernels::linear_forward(const MatrixMode&, size_t, const LinearForward*, size_t) const {
  pending("linear_forward");
}

void CudaKernels::linear_backward_input(const MatrixMode&, size_t, const LinearAdjoint*, size_t,
                                        const LinearInput&) const {
  pending("linear_backward_input");
}

void CudaKernels::linear_backward_weight(const MatrixMode&, size_t, const LinearGradient*, size_t) const {
  pending("linear_backward_weight");
}

void CudaKernels::mixture_nll(const MixtureView&, const float*, float, float, double*, float*, float*, float*,
                              float*) const {
  pending("mixture_nll");
}

void CudaKernels::squared_error(size_t, size_t, const float*, const float*, float, double*, float*) const {
  pending("squared_error");
}

void CudaKernels::weighted_sum(size_t, const double*, double, const double*, double, double*) const {
  pending("weighted_sum");
}

void CudaKernels::mixture_draw(const MixtureView&, const uint32_t*, const Chain*, size_t, uint32_t, Purpose,
                               Purpose, const Philox&, float*) const {
  pending("mixture_draw");
}

void CudaKernels::mixture_log_density(const MixtureView&, const uint32_t*, const float*, size_t,
                                      double*) const {
  pending("mixture_log_density");
}

void CudaKernels::condition_noise(ConditionNoise, float, const float*, size_t, size_t, const Chain*, uint32_t,
                                  const Philox&, const float*, float*, float*) const {
  pending("condition_noise");
}

void CudaKernels::sample_labels(size_t, size_t, const Chain*, uint32_t, const Philox&, const float*,
                                float*) const {
  pending("sample_labels");
}

void CudaKernels::optimise(const AdamStep*, size_t, const float*, const AdamArrays&, const double*,
                           StepTotals*) const {
  pending("optimise");
}

void CudaKernels::optimise_linear(const MatrixMode&, const AdamStep*, size_t, const LinearUpdate*, size_t,
                                  const VectorUpdate*, size_t, const double*, StepTotals*) const {
  pending("optimise_linear");
}

size_t CudaKernels::fused_update_rows() const { pending("fused_update_rows"); }

void CudaKernels::adam_rows(const AdamStep&, size_t, size_t, const float*, float*, float*, float*) const {
  pending("adam_rows");
}

void CudaKernels::draw_candidates(const MixtureView&, const Prior&, double, const uint32_t*, const Chain*,
                                  const uint32_t*, size_t, const Philox&, float*) const {
  pending("draw_candidates");
}

void CudaKernels::importance_weights(const MixtureView&, const Prior&, double, double, double,
                                     const uint32_t*, size_t, const float*, const float*, double*) const {
  pending("importance_weights");
}

void CudaKernels::resample(size_t, size_t, size_t, const Chain*, uint32_t, const Philox&, const float*,
                           const float*, const double*, ResampleState*, float*) const {
  pending("resample");
}

void CudaKernels::target_gradient(const Prior&, double, double, double, size_t, const float*, const float*,
                                  double*, float*) const {
  pending("target_gradient");
}

void CudaKernels::mala_propose(size_t, size_t, const MalaState*, const Chain*, uint32_t, const Philox&,
                               const float*, const float*, float*) const {
  pending("mala_propose");
}

void CudaKernels::mala_accept(size_t, size_t, const Chain*, uint32_t, const Philox&, double, double,
                              const float*, const float*, const float*, const double*, MalaState*, float*,
                              float*, float*) const {
  pending("mala_accept");
}

void CudaKernels::langevin_update(size_t, size_t, const Chain*, uint32_t, const Philox&, bool, float, float,
                                  float, double, float, const float*, float*, float*) const {
  pending("langevin_update");
}

void CudaKernels::hybrid_combine(size_t, size_t, size_t, const float*, const float*, float*) const {
  pending("hybrid_combine");
}

void CudaKernels::hybrid_gradients(size_t, size_t, size_t, const float*, const float*, const float*,
                                   const float*, float*, float*) const {
  pending("hybrid_gradients");
}

}  // namespace tr0n::cuda
