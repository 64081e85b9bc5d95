#pragma once
#include <cstddef>

namespace tr0n::cuda {

/// One .cu file of native/kernels compiled for one architecture: PTX text (a zero byte follows it) or machine
/// code.
struct Image {
  const char* file;  ///< "linear" for linear.cu
  int architecture;  ///< 80 for compute_80 or sm_80
  bool machine_code;
  const unsigned char* data;
  size_t size;
};

/// What is embedded in this build, made by cmake/kernels.cmake. `count` is 0 in a build without kernels.
struct Images {
  const Image* first;
  size_t count;
  const char* origin;  ///< how they were made: "nvcc 13.0", "prebuilt PTX", or why there are none
};
Images images();

}  // namespace tr0n::cuda
