#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/linear_arguments.h"

/// How products of matrices are cut into tiles (kernels/tile_shapes.cuh) and those among blocks.
namespace tr0n::cuda {

constexpr size_t kTileDepth = 16;

/// A tile's shape and the kernels for it, [0] in fp32 and [1] on tensor cores; null where there is none.
struct TileKind {
  unsigned rows, columns, threads;
  unsigned half_blocks;  ///< for every two multiprocessors, that it takes to keep memory and arithmetic busy
  const char *forward[2], *input[2], *weight[2];
};

struct Product {
  size_t rows, columns, depth;
};

struct Tiling {
  unsigned blocks = 0;
  size_t partial_bytes = 0;  ///< of sums that are split
};

/// The products of one launch.
class Products {
 public:
  void add(const Product& product) { products_[count_++] = product; }
  size_t tiles(const TileKind& kind) const;
  size_t most_rows() const;
  /// Fills the map. Where tiles are fewer than `wanted` blocks their sums are split, into parts that take
  /// about the same time, none of them short.
  Tiling tiled(const TileKind& kind, size_t wanted, TileMap& map) const;

 private:
  Product products_[kMaxLayers];
  size_t count_ = 0;
};

/// The tiles that these products are best computed in; thin ones only where `thin` says that there are such.
const TileKind& tile_for(const Products& products, int multiprocessors, bool thin);

/// The bit where arrays can be moved in vectors of 16 bytes, else 0: each is null or aligned, and so are rows
/// of `size`.
template <class... Pointers>
unsigned vectors(Vectors bit, size_t size, const Pointers*... arrays) {
  return size % 4 == 0 && ((reinterpret_cast<uintptr_t>(arrays) | ...) & 15) == 0 ? bit : 0U;
}

}  // namespace tr0n::cuda
