#pragma once
#include <torch/script.h>

namespace tr0n::torchscript {

/// Makes float32 of everything in a module that is in half precision, float16 or bfloat16: parameters,
/// buffers and other tensors, and types that its code names; returns how many tensors that were. Half
/// precision has no kernels for most operators on the CPU, and too few bits for gradients.
size_t widen_halves(torch::jit::Module& module);

/// The tensor itself, or in half precision as float32.
at::Tensor widened(const at::Tensor& tensor);

}  // namespace tr0n::torchscript
