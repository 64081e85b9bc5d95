#pragma once
#include "device/kernels.h"

namespace tr0n {

/// The groups of device/kernels.h on the CPU: one file of this folder has one.
std::unique_ptr<const LinearKernels> make_linear_kernels();
std::unique_ptr<const LinearUpdateKernels> make_linear_update_kernels();
std::unique_ptr<const MixtureKernels> make_mixture_kernels();
std::unique_ptr<const LossKernels> make_loss_kernels();
std::unique_ptr<const ConditionKernels> make_condition_kernels();
std::unique_ptr<const OptimiseKernels> make_optimise_kernels();
std::unique_ptr<const ResampleKernels> make_resample_kernels();
std::unique_ptr<const TargetKernels> make_target_kernels();
std::unique_ptr<const MalaKernels> make_mala_kernels();
std::unique_ptr<const LangevinKernels> make_langevin_kernels();
std::unique_ptr<const HybridKernels> make_hybrid_kernels();
std::unique_ptr<const RowKernels> make_row_kernels();
std::unique_ptr<const StandardKernels> make_standard_kernels();

/// sums [columns] = Σ_rows x [rows, columns], in double over the rows in their order.
void column_sums(size_t rows, size_t columns, const float* x, float* sums);

}  // namespace tr0n
