#pragma once
#include <torch/script.h>

#include <string>

#include "torch/torch_api.h"

namespace tr0n::torchscript {

/// Reads an archive of TorchScript as torch::jit::load() does, without its trust: sizes of tensors are held
/// against the bytes that there are, values against their declared types, and code against a list of
/// operators before any of it runs. `trusted`: the last is left out.
///
/// Throws Failure (ERR_MODEL_CODE for code that is not allowed, ERR_MODEL_UNSUPPORTED, ERR_MODEL_INVALID),
/// Damaged, and what libtorch throws. Needs a deep stack.
torch::jit::Module read_archive(const void* bytes, size_t size, const std::string& name, c10::Device device,
                                bool trusted);

}  // namespace tr0n::torchscript
