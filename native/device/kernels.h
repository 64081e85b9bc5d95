#pragma once
#include <memory>

#include "device/kernels/condition.h"
#include "device/kernels/hybrid.h"
#include "device/kernels/langevin.h"
#include "device/kernels/linear.h"
#include "device/kernels/linear_update.h"
#include "device/kernels/loss.h"
#include "device/kernels/mala.h"
#include "device/kernels/mixture.h"
#include "device/kernels/optimise.h"
#include "device/kernels/resample.h"
#include "device/kernels/rows.h"
#include "device/kernels/standard.h"
#include "device/kernels/target.h"

namespace tr0n {

/// Every numeric kernel, by group; a device implements all of them. A group's header has for each kernel the
/// struct of its arguments, with formula and shapes, and nothing else says what a kernel takes. Pointers are
/// memory of that device, arrays are dense and row-major, float32 unless said otherwise. Kernels of one
/// device run in the order of the calls and may return before they have finished (Device::download waits).
/// None allocates device memory.
///
/// Two promises that an implementation keeps bit for bit:
/// 1. a row of an output depends on that row's inputs alone: not on other rows, nor on how many there are;
/// 2. a sum over the batch has one fixed order, whatever the number of threads.
/// "Moves" counts the floats read and written at least once, the traffic of a perfect cache.
struct Kernels {
  std::unique_ptr<const LinearKernels> linear;
  std::unique_ptr<const LinearUpdateKernels> linear_update;
  std::unique_ptr<const MixtureKernels> mixture;
  std::unique_ptr<const LossKernels> loss;
  std::unique_ptr<const ConditionKernels> condition;
  std::unique_ptr<const OptimiseKernels> optimise;
  std::unique_ptr<const ResampleKernels> resample;
  std::unique_ptr<const TargetKernels> target;
  std::unique_ptr<const MalaKernels> mala;
  std::unique_ptr<const LangevinKernels> langevin;
  std::unique_ptr<const HybridKernels> hybrid;
  std::unique_ptr<const RowKernels> rows;
  std::unique_ptr<const StandardKernels> standard;
};

}  // namespace tr0n
