// Gradients of linear layers' weights and biases: dweight [out, in] = dyᵀ·x, dbias [out] = Σ_rows dy, of
// every layer of a group.
//   x [n, in], dy [n, out]
// A block computes a tile of dweight, columns of dy against columns of x, over all rows or a part of them
// (tile_split.cuh); the blocks of a layer's first columns add up the rows of dy on the way.
// Moves, for a tile of M × N and S splits, n·(M + N) floats, M·N of dweight, and where S > 1 another 2·S·M·N.
#include "kernels/tile_output.cuh"
#include "kernels/tile_shapes.cuh"
#include "kernels/tile_split.cuh"

namespace tr0n::cuda {
namespace {

template <class T, class Product>
__device__ void backward_weight(const WeightArguments& arguments) {
  __shared__ __align__(128) float shared[T::kSharedFloats];
  Product product;
  float bias = 0;  // of column threadIdx.x of dy
  {
    const Place place = place_of<T>(arguments.map);
    const WeightLayer& layer = arguments.layers[place.layer];
    const unsigned in = layer.in, out = layer.out;
    const Steps steps = steps_of((arguments.n + kDepth - 1) / kDepth, place);
    const size_t k = size_t{steps.begin} * kDepth;
    OneProduct source{
        {{layer.dy + k * out + place.row, out, out - place.row, (layer.vectors & kVectorDy) != 0},
         {layer.x + k * in + place.column, in, in - place.column, (layer.vectors & kVectorX) != 0},
         arguments.n - static_cast<unsigned>(k)}};
    const bool sums_bias = place.column == 0 && threadIdx.x < T::kM;
    for_steps<T>(shared, source, steps.end - steps.begin, [&](const float* a, const float* b) {
      product.add(a, b);
      if (sums_bias) bias += column_sum<typename T::A>(a, threadIdx.x);
    });
  }
  const Place place = place_of<T>(arguments.map);
  const WeightLayer& layer = arguments.layers[place.layer];
  const bool sums_bias = place.column == 0 && threadIdx.x < T::kM;
  float* parts = arguments.bias_partials +
                 (layer.first_bias + size_t{place.row / T::kM} * place.splits) * T::kM + threadIdx.x;
  if (place.splits > 1 && sums_bias) parts[place.split * T::kM] = bias;
  if (!sum_splits<T>(product.sums, arguments.partials, arguments.map, place, shared)) return;
  if (sums_bias && place.row + threadIdx.x < layer.out) {
    if (place.splits > 1) {
      bias = 0;
      for (unsigned s = 0; s < place.splits; ++s) bias += __ldcg(parts + s * T::kM);
    }
    layer.dbias[place.row + threadIdx.x] = bias;
  }
  for_outputs<T, 1>(
      shared, product, layer.out - place.row, layer.in - place.column, (layer.vectors & kVectorWeight) != 0,
      [](unsigned, unsigned, auto&) {},
      [&](unsigned row, unsigned column, const auto& values, const auto&) {
        store(layer.dweight + (place.row + row) * size_t{layer.in} + place.column + column, values);
      });
}

}  // namespace

#define TR0N_WEIGHT(name, Kind, Product)                                                                \
  extern "C" __global__ void __launch_bounds__(Kind<Layout::columns, Layout::columns>::Shape::kThreads, \
                                               Kind<Layout::columns, Layout::columns>::kBlocks)         \
      linear_weight_##name(const WeightArguments arguments) {                                           \
    using Chosen = Kind<Layout::columns, Layout::columns>;                                              \
    backward_weight<Chosen::Shape, Chosen::Product>(arguments);                                         \
  }

TR0N_WEIGHT(mid_fp32, Mid, Single)
TR0N_WEIGHT(wide_fp32, Wide, Single)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
TR0N_WEIGHT(mid_tf32, Mid, Tensor)
TR0N_WEIGHT(wide_tf32, Wide, Tensor)
#endif

}  // namespace tr0n::cuda
