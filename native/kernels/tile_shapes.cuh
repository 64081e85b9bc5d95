#pragma once
#include "kernels/tile_fp32.cuh"
#include "kernels/tile_loop.cuh"
#include "kernels/tile_tf32.cuh"

// The tiles that linear layers are computed in, and who computes them.
//   thin  16 × 128   batches of up to 16 rows: weights pass by once, five stages keep memory busy
//   mid   64 × 64    where wide tiles would be too few for all multiprocessors
//   wide  128 × 128  32 FLOPs a byte
namespace tr0n::cuda {

template <Layout A, Layout B>
struct Thin {
  using Shape = Tile<16, 128, 128, 5, A, B>;
  static constexpr unsigned kBlocks = kAsync ? 4 : 2;  ///< of a multiprocessor
  using Single = Fp32<Shape, 4, 4>;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  using Tensor = Tf32<Shape, 1, 4>;
#endif
};

template <Layout A, Layout B>
struct Mid {
  using Shape = Tile<64, 64, 128, 4, A, B>;
  static constexpr unsigned kBlocks = 3;
  using Single = Fp32<Shape, 8, 4>;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  using Tensor = Tf32<Shape, 2, 2>;
#endif
};

template <Layout A, Layout B>
struct Wide {
  using Shape = Tile<128, 128, 256, 3, A, B>;
  static constexpr unsigned kBlocks = kAsync ? 2 : 1;
  using Single = Fp32<Shape, 8, 8>;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  using Tensor = Tf32<Shape, 4, 2>;
#endif
};

}  // namespace tr0n::cuda
