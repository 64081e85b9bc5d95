// The norm of all gradients without the gradients (OptimiseLinear), and what follows from it for
// the update.
//   ‖gradient‖² = Σ_layers Σ_ij (dy·dyᵀ)_ij ((x·xᵀ)_ij + 1) + Σ_vectors Σ g²    x [n, in], dy [n, out], g
//   [size]
// since ‖dyᵀx‖²_F is a product of Gram matrices, and a bias is the weight of an input that is 1.
// A Gram matrix is cut into tiles (i, j ≤ i), a tile's sum over columns into slices. A block computes a slice
// in float32. The last one of a layer adds slices up, in double as all that follows, and multiplies dy's with
// x's. The last of all adds up layers and vectors, in a fixed order as everybody does, and takes the step or
// stops it (adam.cuh).
// Moves, for each tile of M × M, 2·M·(in + out) floats, and 2·M² for each slice.
#include "kernels/linear_scalars.cuh"
#include "kernels/reduce.cuh"
#include "kernels/tile_shapes.cuh"
#include "kernels/tile_split.cuh"

namespace tr0n::cuda {
namespace {

__device__ unsigned layers_arrived;  // and pieces of vectors

/// Σ over the threads of a block. `parts` holds a double for each warp.
template <unsigned Threads>
__device__ double block_total(double value, double* parts) {
  value = warp_sum(value);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = parts[0];
  for (unsigned w = 1; w < Threads / kWarp; ++w) value += parts[w];
  return value;
}

struct GramTile {
  unsigned i, j;
};

__device__ GramTile gram_tile(unsigned index) {
  unsigned i = 0;
  while (index > i) index -= ++i;
  return {i, index};
}

/// A slice of a tile of x·xᵀ or dy·dyᵀ, to memory: as many floats for each thread as it has sums.
template <class T, class Product>
__device__ void gram_slice(float* shared, const NormArguments& arguments, unsigned l, unsigned local) {
  const NormLayer& layer = arguments.layers[l];
  const unsigned slices = layer.slices_x + layer.slices_dy, slice = local % slices;
  const bool of_x = slice < layer.slices_x;
  const float* matrix = of_x ? layer.x : layer.dy;
  const unsigned size = of_x ? layer.in : layer.out,
                 first = (of_x ? slice : slice - layer.slices_x) * kNormSlice;
  const GramTile tile = gram_tile(local / slices);
  const unsigned row_a = tile.i * T::kM, row_b = tile.j * T::kM, depth = min(kNormSlice, size - first);
  const bool vector = (layer.vectors & (of_x ? kVectorX : kVectorDy)) != 0;
  OneProduct source{{{matrix + row_a * size_t{size} + first, size, arguments.n - row_a, vector},
                     {matrix + row_b * size_t{size} + first, size, arguments.n - row_b, vector},
                     depth}};
  Product product;
  for_steps<T>(shared, source, (depth + kDepth - 1) / kDepth,
               [&](const float* a, const float* b) { product.add(a, b); });
  float* out = arguments.slices + size_t{layer.first_block + local} * (T::kM * T::kM) + threadIdx.x;
#pragma unroll
  for (unsigned i = 0; i < Product::kSums; ++i) out[i * T::kThreads] = product.sums[i];
}

/// This thread's share of a layer's sum, from the slices.
template <class T, class Product>
__device__ double gram_products(const NormArguments& arguments, unsigned l) {
  const NormLayer& layer = arguments.layers[l];
  const unsigned slices = layer.slices_x + layer.slices_dy;
  constexpr size_t slice_floats = T::kM * T::kM;
  double total = 0;
#pragma unroll 1
  for (unsigned index = 0; index < arguments.gram_tiles; ++index) {
    const float* tile =
        arguments.slices + (layer.first_block + size_t{index} * slices) * slice_floats + threadIdx.x;
    const GramTile at = gram_tile(index);
    const double twice = at.i == at.j ? 1 : 2;
#pragma unroll 1
    for (unsigned i = 0; i < Product::kSums; ++i) {
      const float* from = tile + i * T::kThreads;
      double x = 1, dy = 0;
#pragma unroll 8
      for (unsigned s = 0; s < layer.slices_x; ++s, from += slice_floats)
        x += static_cast<double>(__ldcg(from));
#pragma unroll 8
      for (unsigned s = 0; s < layer.slices_dy; ++s, from += slice_floats)
        dy += static_cast<double>(__ldcg(from));
      total += twice * x * dy;
    }
  }
  return total;
}

template <unsigned Threads>
__device__ double vector_squares(const NormVector& vector, unsigned piece) {
  const size_t begin = size_t{piece} * kNormPiece, end = min(begin + kNormPiece, vector.size);
  double sum = 0;
  for (size_t i = begin + threadIdx.x; i < end; i += Threads) {
    const auto g = static_cast<double>(vector.gradient[i]);
    sum += g * g;
  }
  return sum;
}

template <class T, class Product>
__device__ void gradient_norm(const NormArguments& arguments) {
  __shared__ __align__(128) float shared[T::kSharedFloats];
  double* parts = reinterpret_cast<double*>(shared);
  auto* flag = reinterpret_cast<unsigned*>(shared);
  const uint64_t stopped = arguments.totals->stopped;  // written by the last of all blocks
  const unsigned block = blockIdx.x;
  if (block == 0 && threadIdx.x == 0) {
    arguments.scalars->factors = AdamFactors(*arguments.step);
    if (stopped != 0) arguments.scalars->made = 0;
  }
  if (stopped != 0) return;  // alike in every block

  double square;
  unsigned slot;
  if (block < arguments.vector_block) {
    unsigned l = 0;
    while (l + 1 < arguments.layer_count && block >= arguments.layers[l + 1].first_block) ++l;
    const NormLayer& layer = arguments.layers[l];
    gram_slice<T, Product>(shared, arguments, l, block - layer.first_block);
    const unsigned blocks = arguments.gram_tiles * (layer.slices_x + layer.slices_dy);
    if (!arrives_last(arrivals + l, blocks, flag)) return;
    square = block_total<T::kThreads>(gram_products<T, Product>(arguments, l), parts);
    if (square < 0) square = 0;  // rounding may leave a tiny negative number; NaN stays
    slot = l;
  } else {
    unsigned v = 0;
    while (v + 1 < arguments.vector_count && block >= arguments.vectors[v + 1].first_block) ++v;
    const NormVector& vector = arguments.vectors[v];
    square = block_total<T::kThreads>(vector_squares<T::kThreads>(vector, block - vector.first_block), parts);
    slot = arguments.layer_count + block - arguments.vector_block;
  }
  const unsigned slots = arguments.layer_count + gridDim.x - arguments.vector_block;
  if (threadIdx.x == 0) arguments.squares[slot] = square;
  if (!arrives_last(&layers_arrived, slots, flag)) return;
  double total = 0;
  for (unsigned s = threadIdx.x; s < slots; s += T::kThreads) total += __ldcg(arguments.squares + s);
  total = block_total<T::kThreads>(total, parts);
  if (threadIdx.x != 0) return;
  if (arguments.begins == 0) total += *arguments.carried;
  *arguments.carried = total;
  if (arguments.ends == 0) return;
  const double norm = sqrt(total);
  arguments.scalars->made = take_step(*arguments.loss, norm, stopped, true, arguments.totals) ? 1 : 0;
  arguments.scalars->scale = static_cast<float>(clip_factor(norm, arguments.step->clip));
}

}  // namespace

/// Batches of up to 16 rows.
extern "C" __global__ void __launch_bounds__(64, 8) linear_norm_16(const NormArguments arguments) {
  using T = Tile<16, 16, 64, 4, Layout::rows, Layout::rows>;
  gradient_norm<T, Fp32<T, 2, 2>>(arguments);
}

extern "C" __global__ void __launch_bounds__(128, 3) linear_norm_64(const NormArguments arguments) {
  using Kind = Mid<Layout::rows, Layout::rows>;
  gradient_norm<Kind::Shape, Kind::Single>(arguments);
}

}  // namespace tr0n::cuda
