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

}  // namespace

void CudaKernels::linear_forward(const MatrixMode& mode, size_t n, const LinearForward* layers,
                                 size_t count) const {
  if (n == 0) return;
  for (; count > kMaxLayers; layers += kMaxLayers, count -= kMaxLayers)
    linear_forward(mode, n, layers, kMaxLayers);
  Products products;
  for (size_t i = 0; i < count; ++i) products.add({n, layers[i].out, layers[i].in});
  const TileKind& tile = tile_for(products, queue_.multiprocessors(), true);
  ForwardArguments arguments{};
  const Tiling tiling =
      products.tiled(tile, wanted_blocks(tile, queue_, mode.rows_independent), arguments.map);
  arguments.n = narrow(n);
  for (size_t i = 0; i < count; ++i) {
    const LinearForward& l = layers[i];
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
  queue_.launch({tile.forward[tensor_cores(mode, queue_)], {tiling.blocks}, {tile.threads}}, arguments);
}

void CudaKernels::linear_backward_input(const MatrixMode& mode, size_t n, const LinearAdjoint* layers,
                                        size_t count, const LinearInput& given) const {
  if (n == 0) return;
  LinearInput input = given;
  for (; count > kMaxLayers; layers += kMaxLayers, count -= kMaxLayers) {
    // What the first layers give is where the others go on.
    float* sum = input.dx != nullptr ? input.dx : input.masked;
    linear_backward_input(mode, n, layers, kMaxLayers, {input.in, input.add, sum, nullptr, nullptr});
    input.add = sum;
  }
  size_t steps = 0;
  InputArguments arguments{};
  for (size_t i = 0; i < count; ++i) {
    const LinearAdjoint& l = layers[i];
    steps += (l.out + kTileDepth - 1) / kTileDepth;
    arguments.layers[i] = {l.dy, l.weight, narrow(l.out),
                           vectors(kVectorWeight, input.in, l.weight) | vectors(kVectorDy, l.out, l.dy)};
  }
  Products products;
  products.add({n, input.in, steps * kTileDepth});
  const TileKind& tile = tile_for(products, queue_.multiprocessors(), true);
  const Tiling tiling =
      products.tiled(tile, wanted_blocks(tile, queue_, mode.rows_independent), arguments.map);
  arguments.n = narrow(n);
  arguments.in = narrow(input.in);
  arguments.count = narrow(count);
  arguments.steps = narrow(steps);
  arguments.add = input.add;
  arguments.activated = input.activated;
  arguments.dx = input.dx;
  arguments.masked = input.masked;
  arguments.vectors = vectors(kVectorOut, input.in, input.add, input.activated, input.dx, input.masked);
  const Workspace workspace = queue_.workspace(tiling.partial_bytes);
  arguments.partials = workspace.as<float>();
  queue_.launch({tile.input[tensor_cores(mode, queue_)], {tiling.blocks}, {tile.threads}}, arguments);
}

void CudaKernels::linear_backward_weight(const MatrixMode& mode, size_t n, const LinearGradient* layers,
                                         size_t count) const {
  for (; count > kMaxLayers; layers += kMaxLayers, count -= kMaxLayers)
    linear_backward_weight(mode, n, layers, kMaxLayers);
  Products products;
  for (size_t i = 0; i < count; ++i) products.add({layers[i].out, layers[i].in, n});
  const TileKind& tile = tile_for(products, queue_.multiprocessors(), false);
  WeightArguments arguments{};
  // The order of the sums follows from the shapes alone, so that splitting breaks no promise.
  const Tiling tiling = products.tiled(tile, wanted_blocks(tile, queue_, false), arguments.map);
  arguments.n = narrow(n);
  size_t bias_parts = 0;
  for (size_t i = 0; i < count; ++i) {
    const LinearGradient& l = layers[i];
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
  const Workspace workspace = queue_.workspace(tiling.partial_bytes + bias_parts * tile.rows * sizeof(float));
  arguments.partials = workspace.as<float>();
  arguments.bias_partials = workspace.as<float>(tiling.partial_bytes);
  queue_.launch({tile.weight[tensor_cores(mode, queue_)], {tiling.blocks}, {tile.threads}}, arguments);
}

}  // namespace tr0n::cuda
