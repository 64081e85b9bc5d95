#pragma once
#include <cstring>
#include <string>
#include <vector>

#include "cuda/driver_api.h"
#include "emulator/emulator.h"
#include "emulator/tests/check.h"

namespace tr0n::cuda {
extern "C" {
#define TR0N_CUDA_FUNCTION(name, parameters) CUresult name parameters;
TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
}
}  // namespace tr0n::cuda

/// A device of the emulator, for as long as a test runs.
namespace tr0n::emulator::test {

using namespace tr0n::cuda;

/// A context of its own for every test: the last thing is that nothing leaks.
class Device {
 public:
  Device();
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  CUmodule load(const std::string& ptx);
  CUdeviceptr allocate(size_t bytes);
  template <class T>
  CUdeviceptr upload(const std::vector<T>& values) {
    const CUdeviceptr pointer = allocate(values.size() * sizeof(T));
    must(cuMemcpyHtoD_v2(pointer, values.data(), values.size() * sizeof(T)), "upload");
    return pointer;
  }
  template <class T>
  std::vector<T> download(CUdeviceptr pointer, size_t count) {
    std::vector<T> values(count);
    must(cuMemcpyDtoH_v2(values.data(), pointer, count * sizeof(T)), "download");
    return values;
  }
  struct Shape {
    unsigned grid = 1, block = 32, shared = 0;
  };
  /// Launches and waits; gives the status that the wait returned.
  template <class... Arguments>
  CUresult run(CUmodule module, const char* name, Shape shape, Arguments... arguments) {
    void* parameters[] = {&arguments..., nullptr};
    return launch(module, name, shape, parameters);
  }
  static void must(CUresult status, const char* what);

 private:
  CUresult launch(CUmodule module, const char* name, Shape shape, void** parameters);
  std::vector<CUdeviceptr> allocations_;
  std::vector<CUmodule> modules_;
};

/// The head of a module.
std::string header(int target = 80);
/// The text of the last violations, "" for none; forgets them.
std::string report();
bool contains(const std::string& text, const std::string& part);

}  // namespace tr0n::emulator::test
