#pragma once
#include "cuda/launch/queue.h"
#include "device/kernels.h"

namespace tr0n::cuda {

/// The groups of device/kernels.h on a GPU: one file of launch/ has one, the kernels themselves are in
/// native/kernels. `queue` must outlive them.
std::unique_ptr<const LinearKernels> make_linear_kernels(const Queue& queue);
std::unique_ptr<const LinearUpdateKernels> make_linear_update_kernels(const Queue& queue);
std::unique_ptr<const MixtureKernels> make_mixture_kernels(const Queue& queue);
std::unique_ptr<const LossKernels> make_loss_kernels(const Queue& queue);
std::unique_ptr<const ConditionKernels> make_condition_kernels(const Queue& queue);
std::unique_ptr<const OptimiseKernels> make_optimise_kernels(const Queue& queue);
std::unique_ptr<const ResampleKernels> make_resample_kernels(const Queue& queue);
std::unique_ptr<const TargetKernels> make_target_kernels(const Queue& queue);
std::unique_ptr<const MalaKernels> make_mala_kernels(const Queue& queue);
std::unique_ptr<const LangevinKernels> make_langevin_kernels(const Queue& queue);
std::unique_ptr<const HybridKernels> make_hybrid_kernels(const Queue& queue);
std::unique_ptr<const RowKernels> make_row_kernels(const Queue& queue);
std::unique_ptr<const StandardKernels> make_standard_kernels(const Queue& queue);

/// All of them.
inline Kernels make_kernels(const Queue& queue) {
  return {make_linear_kernels(queue),   make_linear_update_kernels(queue), make_mixture_kernels(queue),
          make_loss_kernels(queue),     make_condition_kernels(queue),     make_optimise_kernels(queue),
          make_resample_kernels(queue), make_target_kernels(queue),        make_mala_kernels(queue),
          make_langevin_kernels(queue), make_hybrid_kernels(queue),        make_row_kernels(queue),
          make_standard_kernels(queue)};
}

}  // namespace tr0n::cuda
