#include "cuda/images.h"

// For builds that do not go through CMake (binding.gyp): no kernels.
namespace tr0n::cuda {

Images images() {
  return {nullptr, 0, "it was built by node-gyp; with CMake installed, npm rebuild tr0n adds them"};
}

}  // namespace tr0n::cuda
