#include "cuda/launch/tiles.h"

#include <algorithm>

namespace tr0n::cuda {
namespace {

constexpr TileKind kThin{16,
                         128,
                         128,
                         3,
                         {"linear_forward_thin_fp32", "linear_forward_thin_tf32"},
                         {"linear_input_thin_fp32", "linear_input_thin_tf32"},
                         {nullptr, nullptr}};
constexpr TileKind kMid{64,
                        64,
                        128,
                        4,
                        {"linear_forward_mid_fp32", "linear_forward_mid_tf32"},
                        {"linear_input_mid_fp32", "linear_input_mid_tf32"},
                        {"linear_weight_mid_fp32", "linear_weight_mid_tf32"}};
constexpr TileKind kWide{128,
                         128,
                         256,
                         2,
                         {"linear_forward_wide_fp32", "linear_forward_wide_tf32"},
                         {"linear_input_wide_fp32", "linear_input_wide_tf32"},
                         {"linear_weight_wide_fp32", "linear_weight_wide_tf32"}};

// A part of a sum is at least this many steps: what it costs to move its partial sums, 2·M·N floats, is then
// at most a quarter of the factors of a thin tile.
constexpr size_t kShortestPart = 8;

size_t parts(size_t size, size_t part) { return (size + part - 1) / part; }

}  // namespace

size_t Products::tiles(const TileKind& kind) const {
  size_t sum = 0;
  for (size_t i = 0; i < count_; ++i)
    sum += parts(products_[i].rows, kind.rows) * parts(products_[i].columns, kind.columns);
  return sum;
}

size_t Products::most_rows() const {
  size_t most = 0;
  for (size_t i = 0; i < count_; ++i) most = std::max(most, products_[i].rows);
  return most;
}

Tiling Products::tiled(const TileKind& kind, size_t wanted, TileMap& map) const {
  size_t work = 0;
  for (size_t i = 0; i < count_; ++i)
    work += parts(products_[i].rows, kind.rows) * parts(products_[i].columns, kind.columns) *
            parts(products_[i].depth, kTileDepth);
  const bool split = tiles(kind) < wanted && tiles(kind) <= kMaxSplitTiles;
  const size_t part = split ? std::max(kShortestPart, parts(work, wanted)) : ~size_t{0};
  map.count = static_cast<unsigned>(count_);
  size_t blocks = 0, split_tiles = 0, partials = 0;
  for (size_t i = 0; i < count_; ++i) {
    const size_t down = parts(products_[i].rows, kind.rows),
                 tiles = down * parts(products_[i].columns, kind.columns),
                 steps = parts(products_[i].depth, kTileDepth),
                 splits = split ? std::max<size_t>(1, parts(steps, part)) : 1;
    map.first_block[i] = static_cast<unsigned>(blocks);
    map.first_tile[i] = static_cast<unsigned>(split_tiles);
    map.first_partial[i] = static_cast<unsigned>(partials);
    map.tiles_down[i] = static_cast<unsigned>(down);
    map.splits[i] = static_cast<unsigned>(splits);
    blocks += tiles * splits;
    if (splits == 1) continue;
    split_tiles += tiles;
    partials += tiles * splits;
  }
  return {static_cast<unsigned>(blocks), partials * kind.rows * kind.columns * sizeof(float)};
}

const TileKind& tile_for(const Products& products, int multiprocessors, bool thin) {
  if (thin && products.most_rows() <= kThin.rows) return kThin;
  return products.tiles(kWide) >= static_cast<size_t>(multiprocessors) ? kWide : kMid;
}

}  // namespace tr0n::cuda
