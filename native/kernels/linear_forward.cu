// Linear layers forward: y [n, out] = residual + act(x·weightᵀ + bias), of every layer of a group.
//   x [n, in], weight [out, in], bias [out], residual, activated, y [n, out]; act none, relu or bound·tanh
// A block computes a tile of y, rows of x against rows of weight, over all of `in` or a part of it; of a tile
// whose sums are split, the block that comes last adds up the parts and finishes (tile_split.cuh).
// Moves, for a tile of M × N and S splits, in·(M + N) floats, M·N to 3·M·N of y and what belongs to it, and
// where S > 1 another 2·S·M·N.
#include "kernels/tile_output.cuh"
#include "kernels/tile_shapes.cuh"
#include "kernels/tile_split.cuh"

namespace tr0n::cuda {
namespace {

enum : unsigned { kNone, kRelu, kTanh };

__device__ float activate(const ForwardLayer& layer, float u) {
  if (layer.activation == kRelu) return u < 0 ? 0 : u;  // NaN stays
  return layer.activation == kTanh ? layer.bound * tanhf(u) : u;
}

template <class T, class Product>
__device__ void forward(const ForwardArguments& arguments) {
  __shared__ __align__(128) float shared[T::kSharedFloats];
  Product product;
  {
    const Place place = place_of<T>(arguments.map);
    const ForwardLayer& layer = arguments.layers[place.layer];
    const unsigned in = layer.in;
    const Steps steps = steps_of((in + kDepth - 1) / kDepth, place);
    const size_t k = size_t{steps.begin} * kDepth;
    OneProduct source{
        {{layer.x + place.row * size_t{in} + k, in, arguments.n - place.row, (layer.vectors & kVectorX) != 0},
         {layer.weight + place.column * size_t{in} + k, in, layer.out - place.column,
          (layer.vectors & kVectorWeight) != 0},
         in - static_cast<unsigned>(k)}};
    for_steps<T>(shared, source, steps.end - steps.begin,
                 [&](const float* a, const float* b) { product.add(a, b); });
  }
  const Place place = place_of<T>(arguments.map);
  if (!sum_splits<T>(product.sums, arguments.partials, arguments.map, place, shared)) return;
  const ForwardLayer& layer = arguments.layers[place.layer];
  const unsigned out = layer.out;
  const float* bias = layer.bias == nullptr ? nullptr : layer.bias + place.column;
  const auto at = [&](unsigned row, unsigned column) {
    return (place.row + row) * size_t{out} + place.column + column;
  };
  for_outputs<T, 2>(
      shared, product, arguments.n - place.row, out - place.column, (layer.vectors & kVectorOut) != 0,
      [&](unsigned row, unsigned column, auto& extra) {
        if (bias != nullptr) load(bias + column, extra[0]);
        if (layer.residual != nullptr) load(layer.residual + at(row, column), extra[1]);
      },
      [&](unsigned row, unsigned column, auto& values, const auto& extra) {
        constexpr unsigned width = sizeof values / sizeof(float);
#pragma unroll
        for (unsigned e = 0; e < width; ++e)
          values[e] = activate(layer, bias != nullptr ? values[e] + extra[0][e] : values[e]);
        if (layer.activated != nullptr) store(layer.activated + at(row, column), values);
        if (layer.residual != nullptr) {
#pragma unroll
          for (unsigned e = 0; e < width; ++e) values[e] += extra[1][e];
        }
        store(layer.y + at(row, column), values);
      });
}

}  // namespace

#define TR0N_FORWARD(name, Kind, Product)                                                         \
  extern "C" __global__ void __launch_bounds__(Kind<Layout::rows, Layout::rows>::Shape::kThreads, \
                                               Kind<Layout::rows, Layout::rows>::kBlocks)         \
      linear_forward_##name(const ForwardArguments arguments) {                                   \
    using Chosen = Kind<Layout::rows, Layout::rows>;                                              \
    forward<Chosen::Shape, Chosen::Product>(arguments);                                           \
  }

TR0N_FORWARD(thin_fp32, Thin, Single)
TR0N_FORWARD(mid_fp32, Mid, Single)
TR0N_FORWARD(wide_fp32, Wide, Single)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
TR0N_FORWARD(thin_tf32, Thin, Tensor)
TR0N_FORWARD(mid_tf32, Mid, Tensor)
TR0N_FORWARD(wide_tf32, Wide, Tensor)
#endif

}  // namespace tr0n::cuda
