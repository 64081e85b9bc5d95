/// Adam without materialised gradients: one launch for the norm, one for the update. The kernels are
/// native/kernels/linear_update_norm.cu and linear_update.cu.
#include <algorithm>

#include "cuda/kernels.h"
#include "cuda/launch/tiles.h"

namespace tr0n::cuda {
namespace {

constexpr unsigned kUpdateRows = 64, kUpdateColumns = 128, kUpdateThreads = 256;

unsigned narrow(size_t size) { return static_cast<unsigned>(size); }
size_t parts(size_t size, size_t part) { return (size + part - 1) / part; }

/// What one pair of launches takes of a step.
struct Group {
  const LinearUpdate* layers;
  const VectorUpdate* vectors;
  size_t layer_count, vector_count;
};

struct NormShape {
  const char* kernel;
  unsigned rows, threads;
};

NormShape norm_shape(size_t n) {
  if (n <= 16) return {"linear_norm_16", 16, 64};
  return {"linear_norm_64", 64, 128};
}

/// The launch of a group's norm but for its memory; `blocks` of all, `squares` that they leave.
NormArguments norm_arguments(size_t n, const Group& group, unsigned& blocks, size_t& squares) {
  NormArguments arguments{};
  const size_t tiles = parts(n, norm_shape(n).rows);
  arguments.n = narrow(n);
  arguments.gram_tiles = narrow(tiles * (tiles + 1) / 2);
  blocks = 0;
  // A layer without a block would never be summed up, and without rows its gradient is zero.
  for (size_t i = 0; i < group.layer_count && n > 0; ++i) {
    const LinearUpdate& l = group.layers[i];
    const unsigned slices_x = narrow(parts(l.in, kNormSlice)), slices_dy = narrow(parts(l.out, kNormSlice));
    if (slices_x + slices_dy == 0) continue;
    arguments.layers[arguments.layer_count++] = {
        l.x,      l.dy,      narrow(l.in), narrow(l.out),
        slices_x, slices_dy, blocks,       vectors(kVectorX, l.in, l.x) | vectors(kVectorDy, l.out, l.dy)};
    blocks += arguments.gram_tiles * (slices_x + slices_dy);
  }
  arguments.vector_block = blocks;
  for (size_t i = 0; i < group.vector_count; ++i) {
    const VectorUpdate& v = group.vectors[i];
    if (v.size == 0) continue;
    arguments.vectors[arguments.vector_count++] = {v.gradient, v.size, blocks};
    blocks += narrow(parts(v.size, kNormPiece));
  }
  if (blocks == 0) {  // somebody has to take the step
    arguments.vectors[arguments.vector_count++] = {};
    blocks = 1;
  }
  squares = arguments.layer_count + blocks - arguments.vector_block;
  return arguments;
}

UpdateArguments update_arguments(size_t n, const Group& group, unsigned& blocks) {
  UpdateArguments arguments{};
  arguments.n = narrow(n);
  arguments.layer_count = narrow(group.layer_count);
  arguments.vector_count = narrow(group.vector_count);
  blocks = 0;
  for (size_t i = 0; i < group.layer_count; ++i) {
    const LinearUpdate& l = group.layers[i];
    arguments.layers[i] = {l.x,
                           l.dy,
                           l.weight,
                           l.bias,
                           narrow(l.in),
                           narrow(l.out),
                           blocks,
                           vectors(kVectorX, l.in, l.x) | vectors(kVectorDy, l.out, l.dy) |
                               vectors(kVectorWeight, l.in, l.weight.parameters, l.weight.m, l.weight.v)};
    blocks += narrow(parts(l.out, kUpdateRows) * parts(l.in, kUpdateColumns));
  }
  arguments.vector_block = blocks;
  for (size_t i = 0; i < group.vector_count; ++i) {
    const VectorUpdate& v = group.vectors[i];
    arguments.vectors[i] = {v.gradient, v.arrays, v.size, blocks};
    blocks += narrow(parts(v.size, kUpdateThreads));
  }
  return arguments;
}

size_t aligned(size_t bytes) { return parts(bytes, 256) * 256; }

class CudaLinearUpdateKernels final : public LinearUpdateKernels {
 public:
  explicit CudaLinearUpdateKernels(const Queue& queue) : queue_(queue) {}

  void optimise(const OptimiseLinear& a) const override {
    const size_t launches =
        std::max<size_t>(1, std::max(parts(a.count, kMaxLayers), parts(a.vector_count, kMaxLayers)));
    const auto group = [&](size_t launch) {
      const size_t first_layer = std::min(a.count, launch * kMaxLayers),
                   first_vector = std::min(a.vector_count, launch * kMaxLayers);
      return Group{a.layers + first_layer, a.vectors + first_vector,
                   std::min<size_t>(kMaxLayers, a.count - first_layer),
                   std::min<size_t>(kMaxLayers, a.vector_count - first_vector)};
    };
    const NormShape shape = norm_shape(a.n);
    size_t slice_bytes = 0, square_bytes = 0;
    for (size_t i = 0; i < launches; ++i) {
      unsigned blocks = 0;
      size_t squares = 0;
      const NormArguments arguments = norm_arguments(a.n, group(i), blocks, squares);
      slice_bytes =
          std::max(slice_bytes, size_t{arguments.vector_block} * shape.rows * shape.rows * sizeof(float));
      square_bytes = std::max(square_bytes, aligned(squares * sizeof(double)));
    }
    // The scalars and the sum carried from launch to launch, then what each launch uses again.
    const Workspace workspace = queue_.workspace(256 + square_bytes + slice_bytes);
    auto* scalars = workspace.as<UpdateScalars>();
    for (size_t i = 0; i < launches; ++i) {
      unsigned blocks = 0;
      size_t squares = 0;
      NormArguments arguments = norm_arguments(a.n, group(i), blocks, squares);
      arguments.step = a.step;
      arguments.loss = a.loss;
      arguments.totals = a.totals;
      arguments.scalars = scalars;
      arguments.carried = workspace.as<double>(kScalarBytes);
      arguments.squares = workspace.as<double>(256);
      arguments.slices = workspace.as<float>(256 + square_bytes);
      arguments.begins = i == 0 ? 1 : 0;
      arguments.ends = i + 1 == launches ? 1 : 0;
      queue_.launch({shape.kernel, {blocks}, {shape.threads}}, arguments);
    }
    const bool tensor = a.mode.precision == Precision::tf32 && queue_.compute_capability() >= 80;
    for (size_t i = 0; i < launches; ++i) {
      unsigned blocks = 0;
      UpdateArguments arguments = update_arguments(a.n, group(i), blocks);
      arguments.scalars = scalars;
      queue_.launch({tensor ? "linear_update_tf32" : "linear_update_fp32", {blocks}, {kUpdateThreads}},
                    arguments);
    }
  }

  // With more rows the tiles' factors, 192·n floats for 8192 parameters, and the Gram matrices cost more than
  // writing gradients and reading them twice.
  size_t most_rows() const override { return 64; }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const LinearUpdateKernels> make_linear_update_kernels(const Queue& queue) {
  return std::make_unique<CudaLinearUpdateKernels>(queue);
}

}  // namespace tr0n::cuda
