// Linear layers backward to their common input: dx [n, in] = add + Σ_layers dy·weight, masked = dx ⊙
// [activated > 0].
//   dy [n, out], weight [out, in] of each layer; add, activated, dx, masked [n, in]
// One product along the outputs of all layers in turn, each filled up with zeros to whole steps: no partial
// results of layers in memory. A block computes a tile, rows of dy against columns of weight, over all steps
// or a part of them (tile_split.cuh). Moves, for a tile of M × N and S splits, Σ out·(M + N) floats, M·N to
// 4·M·N of what is as large as the input, and where S > 1 another 2·S·M·N.
#include "kernels/tile_output.cuh"
#include "kernels/tile_shapes.cuh"
#include "kernels/tile_split.cuh"

namespace tr0n::cuda {
namespace {

/// Steps through the outputs of one layer after the other.
template <class T>
class LayersInTurn {
 public:
  Factors now;

  __device__ LayersInTurn(const InputArguments& arguments, unsigned row0, unsigned column0, unsigned step)
      : arguments_(arguments), row0_(row0), column0_(column0) {
    while (layer_ < arguments.count) {
      const unsigned steps = (arguments.layers[layer_].out + kDepth - 1) / kDepth;
      if (step < steps) break;
      step -= steps;
      ++layer_;
    }
    begin(step * kDepth);
  }

  template <class>
  __device__ void advance() {
    if (now.depth > kDepth) {
      T::A::advance(now.a);
      T::B::advance(now.b);
      now.depth -= kDepth;
    } else {
      ++layer_;
      begin(0);
    }
  }

 private:
  __device__ void begin(unsigned k) {
    now.depth = 0;
    if (layer_ >= arguments_.count) return;
    const InputLayer& layer = arguments_.layers[layer_];
    const unsigned n = arguments_.n, in = arguments_.in;
    now.a = {layer.dy + row0_ * size_t{layer.out} + k, layer.out, n - row0_,
             (layer.vectors & kVectorDy) != 0};
    now.b = {layer.weight + k * size_t{in} + column0_, in, in - column0_,
             (layer.vectors & kVectorWeight) != 0};
    now.depth = layer.out - k;
  }

  const InputArguments& arguments_;
  unsigned row0_, column0_, layer_ = 0;
};

template <class T, class Product>
__device__ void backward_input(const InputArguments& arguments) {
  __shared__ __align__(128) float shared[T::kSharedFloats];
  Product product;
  {
    const Place place = place_of<T>(arguments.map);
    const Steps steps = steps_of(arguments.steps, place);
    LayersInTurn<T> source(arguments, place.row, place.column, steps.begin);
    for_steps<T>(shared, source, steps.end - steps.begin,
                 [&](const float* a, const float* b) { product.add(a, b); });
  }
  const Place place = place_of<T>(arguments.map);
  if (!sum_splits<T>(product.sums, arguments.partials, arguments.map, place, shared)) return;
  const unsigned in = arguments.in;
  const auto at = [&](unsigned row, unsigned column) {
    return (place.row + row) * size_t{in} + place.column + column;
  };
  for_outputs<T, 2>(
      shared, product, arguments.n - place.row, in - place.column, (arguments.vectors & kVectorOut) != 0,
      [&](unsigned row, unsigned column, auto& extra) {
        if (arguments.add != nullptr) load(arguments.add + at(row, column), extra[0]);
        if (arguments.masked != nullptr) load(arguments.activated + at(row, column), extra[1]);
      },
      [&](unsigned row, unsigned column, auto& values, const auto& extra) {
        constexpr unsigned width = sizeof values / sizeof(float);
        if (arguments.add != nullptr) {
#pragma unroll
          for (unsigned e = 0; e < width; ++e) values[e] += extra[0][e];
        }
        if (arguments.dx != nullptr) store(arguments.dx + at(row, column), values);
        if (arguments.masked == nullptr) return;
#pragma unroll
        for (unsigned e = 0; e < width; ++e) values[e] = extra[1][e] > 0 ? values[e] : 0;
        store(arguments.masked + at(row, column), values);
      });
}

}  // namespace

#define TR0N_INPUT(name, Kind, Product)                                                              \
  extern "C" __global__ void __launch_bounds__(Kind<Layout::rows, Layout::columns>::Shape::kThreads, \
                                               Kind<Layout::rows, Layout::columns>::kBlocks)         \
      linear_input_##name(const InputArguments arguments) {                                          \
    using Chosen = Kind<Layout::rows, Layout::columns>;                                              \
    backward_input<Chosen::Shape, Chosen::Product>(arguments);                                       \
  }

TR0N_INPUT(thin_fp32, Thin, Single)
TR0N_INPUT(mid_fp32, Mid, Single)
TR0N_INPUT(wide_fp32, Wide, Single)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
TR0N_INPUT(thin_tf32, Thin, Tensor)
TR0N_INPUT(mid_tf32, Mid, Tensor)
TR0N_INPUT(wide_tf32, Wide, Tensor)
#endif

}  // namespace tr0n::cuda
