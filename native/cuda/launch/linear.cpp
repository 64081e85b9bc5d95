/// Linear layers: which tiles, how sums are split over blocks, and the launches. The kernels are in
/// native/kernels/linear_*.cu.
#include "cuda/kernels.h"
#include "cuda/launch/tiles.h"

namespace tr0n::cuda {
namespace {

bool tensor_cores(const MatrixMode& mode, const Queue& queue) {
  return mode.precision == Precision::tf32 && queue.compute_capability() >= 80;
}

/// Sums may be split until there are so many blocks.
size_t wanted_blocks(const TileKind& tile, const Queue& queue, bool rows_independent) {
  return rows_independent ? 0 : static_cast<size_t>(queue.multiprocessors()) * tile.half_blocks / 2;
}

unsigned narrow(size_t size) { return static_cast<unsigned>(size); }

class CudaLinearKernels final : public LinearKernels {
 public:
  explicit CudaLinearKernels(const Queue& queue) : queue_(queue) {}

  void forward(const LinearForward& all) const override {
    if (all.n == 0) return;
    LinearForward a = all;
    for (; a.count > kMaxLayers; a.layers += kMaxLayers, a.count -= kMaxLayers)
      forward({a.mode, a.n, a.layers, kMaxLayers});
    Products products;
    for (size_t i = 0; i < a.count; ++i) products.add({a.n, a.layers[i].out, a.layers[i].in});
    const TileKind& tile = tile_for(products, queue_.multiprocessors(), true);
    ForwardArguments arguments{};
    const Tiling tiling =
        products.tiled(tile, wanted_blocks(tile, queue_, a.mode.rows_independent), arguments.map);
    arguments.n = narrow(a.n);
    for (size_t i = 0; i < a.count; ++i) {
      const LinearLayer& l = a.layers[i];
      arguments.layers[i] = {l.x,
                             l.weight,
                             l.bias,
                             l.residual,
                             l.activated,
                             l.y,
                             narrow(l.in),
                             narrow(l.out),
                             static_cast<unsigned>(l.activation),
                             l.bound,
                             vectors(kVectorX, l.in, l.x) | vectors(kVectorWeight, l.in, l.weight) |
                                 vectors(kVectorOut, l.out, l.bias, l.residual, l.activated, l.y)};
    }
    const Workspace workspace = queue_.workspace(tiling.partial_bytes);
    arguments.partials = workspace.as<float>();
    queue_.launch({tile.forward[tensor_cores(a.mode, queue_)], {tiling.blocks}, {tile.threads}}, arguments);
  }

  void backward_input(const LinearBackwardInput& all) const override {
    if (all.n == 0) return;
    LinearBackwardInput a = all;
    LinearInput& input = a.input;
    for (; a.count > kMaxLayers; a.layers += kMaxLayers, a.count -= kMaxLayers) {
      // What the first layers give is where the others go on.
      float* sum = input.dx != nullptr ? input.dx : input.masked;
      backward_input({a.mode, a.n, a.layers, kMaxLayers, {input.in, input.add, sum, nullptr, nullptr}});
      input.add = sum;
    }
    size_t steps = 0;
    InputArguments arguments{};
    for (size_t i = 0; i < a.count; ++i) {
      const LinearAdjoint& l = a.layers[i];
      steps += (l.out + kTileDepth - 1) / kTileDepth;
      arguments.layers[i] = {l.dy, l.weight, narrow(l.out),
                             vectors(kVectorWeight, input.in, l.weight) | vectors(kVectorDy, l.out, l.dy)};
    }
    Products products;
    products.add({a.n, input.in, steps * kTileDepth});
    const TileKind& tile = tile_for(products, queue_.multiprocessors(), true);
    const Tiling tiling =
        products.tiled(tile, wanted_blocks(tile, queue_, a.mode.rows_independent), arguments.map);
    arguments.n = narrow(a.n);
    arguments.in = narrow(input.in);
    arguments.count = narrow(a.count);
    arguments.steps = narrow(steps);
    arguments.add = input.add;
    arguments.activated = input.activated;
    arguments.dx = input.dx;
    arguments.masked = input.masked;
    arguments.vectors = vectors(kVectorOut, input.in, input.add, input.activated, input.dx, input.masked);
    const Workspace workspace = queue_.workspace(tiling.partial_bytes);
    arguments.partials = workspace.as<float>();
    queue_.launch({tile.input[tensor_cores(a.mode, queue_)], {tiling.blocks}, {tile.threads}}, arguments);
  }

  void backward_weight(const LinearBackwardWeight& all) const override {
    LinearBackwardWeight a = all;
    for (; a.count > kMaxLayers; a.layers += kMaxLayers, a.count -= kMaxLayers)
      backward_weight({a.mode, a.n, a.layers, kMaxLayers});
    Products products;
    for (size_t i = 0; i < a.count; ++i) products.add({a.layers[i].out, a.layers[i].in, a.n});
    const TileKind& tile = tile_for(products, queue_.multiprocessors(), false);
    WeightArguments arguments{};
    // The order of the sums follows from the shapes alone, so that splitting breaks no promise.
    const Tiling tiling = products.tiled(tile, wanted_blocks(tile, queue_, false), arguments.map);
    arguments.n = narrow(a.n);
    size_t bias_parts = 0;
    for (size_t i = 0; i < a.count; ++i) {
      const LinearGradient& l = a.layers[i];
      arguments.layers[i] = {l.x,
                             l.dy,
                             l.dweight,
                             l.dbias,
                             narrow(l.in),
                             narrow(l.out),
                             narrow(bias_parts),
                             vectors(kVectorX, l.in, l.x) | vectors(kVectorDy, l.out, l.dy) |
                                 vectors(kVectorWeight, l.in, l.dweight)};
      if (arguments.map.splits[i] > 1)
        bias_parts += size_t{arguments.map.tiles_down[i]} * arguments.map.splits[i];
    }
    const Workspace workspace =
        queue_.workspace(tiling.partial_bytes + bias_parts * tile.rows * sizeof(float));
    arguments.partials = workspace.as<float>();
    arguments.bias_partials = workspace.as<float>(tiling.partial_bytes);
    queue_.launch({tile.weight[tensor_cores(a.mode, queue_)], {tiling.blocks}, {tile.threads}}, arguments);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const LinearKernels> make_linear_kernels(const Queue& queue) {
  return std::make_unique<CudaLinearKernels>(queue);
}

}  // namespace tr0n::cuda
