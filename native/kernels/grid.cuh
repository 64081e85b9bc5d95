#pragma once

// A barrier for all threads of a grid. Only in kernels that are launched cooperatively (Launch::cooperative):
// every block is then resident and gets to run.
namespace tr0n::cuda {

/// Each module has its own; kernels of one device follow one another in one stream.
static __device__ unsigned grid_arrivals;

/// Block 0 adds what makes the highest bit flip once every block has arrived, so the count is ready for the
/// next barrier, of whatever grid, without being reset.
__device__ inline void grid_barrier() {
  constexpr unsigned phase = 0x80000000u;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    const unsigned before = atomicAdd(&grid_arrivals, blockIdx.x == 0 ? phase - (gridDim.x - 1) : 1u);
    while (((*static_cast<volatile unsigned*>(&grid_arrivals) ^ before) & phase) == 0) __nanosleep(32);
    __threadfence();
  }
  __syncthreads();
}

}  // namespace tr0n::cuda
