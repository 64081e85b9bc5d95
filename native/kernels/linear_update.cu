// Adam on layers whose gradients are computed where they are used (OptimiseLinear), and on vectors
// with a gradient; the launch of linear_norm.cu before has the scalars.
//   dweight [out, in] = dyᵀ·x, dbias [out] = Σ_rows dy;  Adam (adam.cuh) on scale·gradient
//   x [n, in], dy [n, out]; weight, its m and v [out, in]; bias, its m and v [out]
// A block computes a tile of dweight over all rows and updates what belongs to it; the blocks of a layer's
// first columns have the biases. Moves, for a tile of 64 × 128, 6·64·128 floats of parameters and moments,
// read and written once, and 192·n of x and dy.
#include "kernels/linear_scalars.cuh"
#include "kernels/tile_output.cuh"
#include "kernels/tile_shapes.cuh"

namespace tr0n::cuda {
namespace {

__device__ void apply(const UpdateScalars& scalars, float gradient, float& m, float& v, float& x) {
  scalars.factors.apply(__fmul_rn(scalars.scale, gradient), m, v, x);
}

__device__ void apply_at(const UpdateScalars& scalars, float gradient, const AdamArrays& arrays, size_t at) {
  float m = arrays.m[at], v = arrays.v[at], x = arrays.parameters[at];
  apply(scalars, gradient, m, v, x);
  arrays.m[at] = m, arrays.v[at] = v, arrays.parameters[at] = x;
}

struct Where {
  unsigned layer, row, column;
};

template <class T>
__device__ Where where(const UpdateArguments& arguments) {
  unsigned block;
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));  // again for every call, to save registers
  unsigned l = 0;
  while (l + 1 < arguments.layer_count && block >= arguments.layers[l + 1].first_block) ++l;
  const unsigned tile = block - arguments.layers[l].first_block,
                 down = (arguments.layers[l].out + T::kM - 1) / T::kM;
  return {l, tile % down * T::kM, tile / down * T::kN};
}

template <class T, class Product>
__device__ void update_layer(float* shared, const UpdateScalars& shared_scalars,
                             const UpdateArguments& arguments) {
  Product product;
  float bias = 0;  // the gradient of column threadIdx.x of dy
  {
    const Where at = where<T>(arguments);
    const UpdateLayer& layer = arguments.layers[at.layer];
    const unsigned in = layer.in, out = layer.out;
    OneProduct source{{{layer.dy + at.row, out, out - at.row, (layer.vectors & kVectorDy) != 0},
                       {layer.x + at.column, in, in - at.column, (layer.vectors & kVectorX) != 0},
                       arguments.n}};
    const bool sums_bias = at.column == 0 && threadIdx.x < T::kM;
    for_steps<T>(shared, source, (arguments.n + kDepth - 1) / kDepth, [&](const float* a, const float* b) {
      product.add(a, b);
      if (sums_bias) bias += column_sum<typename T::A>(a, threadIdx.x);
    });
  }
  __syncthreads();
  const UpdateScalars scalars = shared_scalars;
  if (scalars.made == 0) return;
  const Where at = where<T>(arguments);
  const UpdateLayer& layer = arguments.layers[at.layer];
  if (at.column == 0 && threadIdx.x < T::kM && at.row + threadIdx.x < layer.out)
    apply_at(scalars, bias, layer.bias, at.row + threadIdx.x);
  const size_t first = at.row * size_t{layer.in} + at.column;
  const AdamArrays tile{layer.weight.parameters + first, layer.weight.m + first, layer.weight.v + first};
  const unsigned in = layer.in;
  for_outputs<T, 3>(
      shared, product, layer.out - at.row, in - at.column, (layer.vectors & kVectorWeight) != 0,
      [&](unsigned row, unsigned column, auto& extra) {
        const size_t place = row * size_t{in} + column;
        load(tile.m + place, extra[0]);
        load(tile.v + place, extra[1]);
        load(tile.parameters + place, extra[2]);
      },
      [&](unsigned row, unsigned column, const auto& gradients, auto& extra) {
        const size_t place = row * size_t{in} + column;
#pragma unroll
        for (unsigned e = 0; e < sizeof gradients / sizeof(float); ++e)
          apply(scalars, gradients[e], extra[0][e], extra[1][e], extra[2][e]);
        store(tile.m + place, extra[0]);
        store(tile.v + place, extra[1]);
        store(tile.parameters + place, extra[2]);
      });
}

__device__ void update_vector(const UpdateScalars& scalars, const UpdateArguments& arguments) {
  unsigned i = 0;
  while (i + 1 < arguments.vector_count && blockIdx.x >= arguments.vectors[i + 1].first_block) ++i;
  const UpdateVector& vector = arguments.vectors[i];
  __syncthreads();
  if (scalars.made == 0) return;
  const size_t at = size_t{blockIdx.x - vector.first_block} * blockDim.x + threadIdx.x;
  if (at < vector.size) apply_at(scalars, vector.gradient[at], vector.arrays, at);
}

template <class T, class Product>
__device__ void update(const UpdateArguments& arguments) {
  __shared__ __align__(128) float shared[T::kSharedFloats];
  __shared__ UpdateScalars scalars;
  constexpr unsigned words = sizeof(UpdateScalars) / sizeof(unsigned);
  if (threadIdx.x < words)
    reinterpret_cast<unsigned*>(&scalars)[threadIdx.x] =
        reinterpret_cast<const unsigned*>(arguments.scalars)[threadIdx.x];
  if (blockIdx.x < arguments.vector_block)
    update_layer<T, Product>(shared, scalars, arguments);
  else
    update_vector(scalars, arguments);
}

using Shape = Tile<64, 128, 256, 3, Layout::columns, Layout::columns>;

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 2) linear_update_fp32(const UpdateArguments arguments) {
  update<Shape, Fp32<Shape, 8, 4>>(arguments);
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
extern "C" __global__ void __launch_bounds__(256, 2) linear_update_tf32(const UpdateArguments arguments) {
  update<Shape, Tf32<Shape, 2, 4>>(arguments);
}
#endif

}  // namespace tr0n::cuda
