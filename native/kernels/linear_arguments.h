#pragma once
#include <cstddef>
#include <cstdint>

#include "device/kernels/linear_update.h"

/// What the kernels of linear layers are launched with; shared by host and device.
namespace tr0n::cuda {

constexpr unsigned kMaxLayers = 8;         ///< of one launch
constexpr unsigned kMaxSplitTiles = 4096;  ///< of one launch whose sums are split

/// Blocks of a launch: first those of layer 0, then those of layer 1, …; of a layer first the splits of tile
/// 0, then those of tile 1, …
struct TileMap {
  unsigned count;  ///< layers
  unsigned first_block[kMaxLayers];
  unsigned first_tile[kMaxLayers];     ///< of those that are split, for partial sums and arrivals
  unsigned tiles_down[kMaxLayers];     ///< tiles are numbered from top to bottom, then to the right
  unsigned splits[kMaxLayers];         ///< blocks that share the sums of a tile
  unsigned first_partial[kMaxLayers];  ///< tiles' worth of partial sums before the layer's
};

/// Which matrices can be moved in vectors of 16 bytes: their rows begin at multiples of that and are
/// multiples of 4 floats. Bits of one word, since words are what a kernel reads of its arguments.
enum Vectors : unsigned {
  kVectorX = 1,
  kVectorDy = 2,
  kVectorWeight = 4,  ///< what has the weight's shape
  kVectorOut = 8,     ///< what has the result's shape
};

struct ForwardLayer {
  const float *x, *weight, *bias, *residual;
  float *activated, *y;
  unsigned in, out, activation;  ///< the number of device/kernels/linear.h' Activation
  float bound;
  unsigned vectors;
};

struct ForwardArguments {
  TileMap map;
  unsigned n;
  float* partials;
  ForwardLayer layers[kMaxLayers];
};

struct InputLayer {
  const float *dy, *weight;
  unsigned out;
  unsigned vectors;
};

struct InputArguments {
  TileMap map;  ///< of one product: the layers' outputs are summed over
  unsigned n, in, count, steps;
  const float *add, *activated;
  float *dx, *masked, *partials;
  unsigned vectors;  ///< kVectorOut
  InputLayer layers[kMaxLayers];
};

struct WeightLayer {
  const float *x, *dy;
  float *dweight, *dbias;
  unsigned in, out, first_bias;  ///< tiles' worth of partial sums of biases before the layer's
  unsigned vectors;
};

struct WeightArguments {
  TileMap map;
  unsigned n;
  float *partials, *bias_partials;
  WeightLayer layers[kMaxLayers];
};

constexpr unsigned kNormSlice = 128;   ///< columns of a Gram matrix' factor that a block takes
constexpr unsigned kNormPiece = 4096;  ///< elements of a vector that a block takes

/// What the norm says to the update (linear_scalars.cuh).
struct UpdateScalars;
constexpr size_t kScalarBytes = 64;

struct NormLayer {
  const float *x, *dy;
  unsigned in, out, slices_x, slices_dy, first_block;
  unsigned vectors;
};

struct NormVector {
  const float* gradient;
  size_t size;
  unsigned first_block;
};

/// Blocks: of a layer those of Gram tile 0 (slices of x, then of dy), of tile 1, …; then the vectors' pieces.
struct NormArguments {
  const AdamStep* step;
  const double* loss;
  StepTotals* totals;
  UpdateScalars* scalars;
  float* slices;          ///< a tile for each block of a layer
  double* squares;        ///< of each layer, then of each piece
  double* carried;        ///< Σ of the launches so far
  unsigned begins, ends;  ///< whether this launch is the first, the last one of a step
  unsigned n, gram_tiles, layer_count, vector_count, vector_block;  ///< the first block of a vector
  NormLayer layers[kMaxLayers];
  NormVector vectors[kMaxLayers];
};

struct UpdateLayer {
  const float *x, *dy;
  AdamArrays weight, bias;
  unsigned in, out, first_block;
  unsigned vectors;
};

struct UpdateVector {
  const float* gradient;
  AdamArrays arrays;
  size_t size;
  unsigned first_block;
};

/// Blocks: the layers' tiles, then the vectors' pieces of as many elements as a block has threads.
struct UpdateArguments {
  const UpdateScalars* scalars;
  unsigned n, layer_count, vector_count, vector_block;  ///< the first block of a vector
  UpdateLayer layers[kMaxLayers];
  UpdateVector vectors[kMaxLayers];
};

}  // namespace tr0n::cuda
