#include "emulator/tests/device.h"

namespace tr0n::emulator::test {

void Device::must(CUresult status, const char* what) {
  if (status == CUDA_SUCCESS) return;
  fail(__FILE__, __LINE__,
       std::string(what) + " gave status " + std::to_string(status) + ": " + tr0n_emulator_report());
}

Device::Device() {
  must(cuInit(0), "cuInit");
  CUcontext context = nullptr;
  must(cuDevicePrimaryCtxRetain(&context, 0), "cuDevicePrimaryCtxRetain");
  must(cuCtxSetCurrent(context), "cuCtxSetCurrent");
  tr0n_emulator_reset();
}

Device::~Device() {
  // After a fault nothing can be given back; the context's end takes it.
  for (const CUmodule module : modules_) cuModuleUnload(module);
  for (const CUdeviceptr pointer : allocations_) cuMemFree_v2(pointer);
  must(cuDevicePrimaryCtxRelease_v2(0), "cuDevicePrimaryCtxRelease");
  const std::string left = report();
  if (!left.empty()) fail(__FILE__, __LINE__, "violations that the test did not expect: " + left);
}

CUmodule Device::load(const std::string& ptx) {
  CUmodule module = nullptr;
  must(cuModuleLoadData(&module, ptx.c_str()), "cuModuleLoadData");
  if (module != nullptr) modules_.push_back(module);
  return module;
}

CUdeviceptr Device::allocate(size_t bytes) {
  CUdeviceptr pointer = 0;
  must(cuMemAlloc_v2(&pointer, bytes), "cuMemAlloc");
  allocations_.push_back(pointer);
  return pointer;
}

CUresult Device::launch(CUmodule module, const char* name, Shape shape, void** parameters) {
  CUfunction function = nullptr;
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  must(cuModuleGetFunction(&function, module, name), name);
  const CUresult status = cuLaunchKernel(function, shape.grid, 1, 1, shape.block, 1, 1, shape.shared, nullptr,
                                         parameters, nullptr);
  return status != CUDA_SUCCESS ? status : cuCtxSynchronize();
}

std::string header(int target) {
  return ".version 8.0\n.target sm_" + std::to_string(target) + "\n.address_size 64\n";
}

std::string report() {
  if (tr0n_emulator_violations() == 0) return "";
  std::string text = tr0n_emulator_report();
  tr0n_emulator_reset();
  return text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tr0n::emulator::test
