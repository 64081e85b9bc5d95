#pragma once
#include <memory>
#include <string>

#include "bridge/model_device.h"

namespace tr0n {

/// GPU number `index` of the CUDA driver, on which tr0n's own kernels compute, too: the provider works in
/// their context and in their stream. It is the plug-in library that TR0N_ORT_PROVIDER names, or else the
/// CUDA provider that lies beside ONNX Runtime's library. Throws ERR_DEVICE_UNAVAILABLE.
std::shared_ptr<ModelDevice> open_cuda_models(const std::string& name, int index);

/// Where models on CUDA would come from, found without opening a device.
struct CudaProvider {
  std::string library;  ///< the file that was looked for
  bool plug_in = false;
  std::string problem;  ///< why it cannot be used, and what to install; empty where it is there
};
CudaProvider cuda_provider();

}  // namespace tr0n
