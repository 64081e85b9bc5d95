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

void CudaKernels::optimise_linear(const MatrixMode&, const AdamStep*, size_t, const LinearUpdate*, size_t,
                                  const VectorUpdate*, size_t, const double*, StepTotals*) const {
  pending("optimise_linear");
}

size_t CudaKernels::fused_update_rows() const { pending("fused_update_rows"); }

}  // namespace tr0n::cuda
