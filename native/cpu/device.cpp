#include "device/device.h"

#include <cstring>
#include <string>

#include "base/error.h"
#include "cpu/kernels.h"
#include "cpu/memory.h"

namespace tr0n {
namespace {

class CpuDevice final : public Device {
 public:
  const char* name() const override { return "cpu"; }
  const Kernels& kernels() const override { return kernels_; }
  bool host_memory() const override { return true; }
  void* allocate(size_t bytes) override {
    void* memory = allocate_aligned(bytes);
    if (memory == nullptr)
      throw Error("ERR_OUT_OF_MEMORY", std::to_string(bytes) + " bytes cannot be allocated");
    return memory;
  }
  void release(void* memory) noexcept override { release_aligned(memory); }
  void upload(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }

 private:
  const Kernels kernels_{make_linear_kernels(),   make_linear_update_kernels(), make_mixture_kernels(),
                         make_loss_kernels(),     make_condition_kernels(),     make_optimise_kernels(),
                         make_resample_kernels(), make_target_kernels(),        make_mala_kernels(),
                         make_langevin_kernels(), make_hybrid_kernels(),        make_row_kernels(),
                         make_standard_kernels()};
};

}  // namespace

Device& cpu_device() {
  static CpuDevice* device = new CpuDevice;  // never freed: jobs may outlive static destruction
  return *device;
}

}  // namespace tr0n
