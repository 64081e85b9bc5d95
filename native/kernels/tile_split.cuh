#pragma once
#include "kernels/linear_arguments.h"
#include "kernels/tile_panels.cuh"

/// Which tile of which layer a block computes, and sums over k that several blocks share.
namespace tr0n::cuda {

struct Place {
  unsigned layer, tile, split, splits;
  unsigned row, column;  ///< where the tile begins
};

/// This block's. Worked out anew by every call: registers that would hold it through the sums are dear.
template <class T>
__device__ inline Place place_of(const TileMap& map) {
  unsigned block;
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));
  unsigned layer = 0;
  while (layer + 1 < map.count && block >= map.first_block[layer + 1]) ++layer;
  const unsigned local = block - map.first_block[layer], splits = map.splits[layer], tile = local / splits,
                 down = map.tiles_down[layer];
  return {layer, tile, local % splits, splits, tile % down * T::kM, tile / down * T::kN};
}

struct Steps {
  unsigned begin, end;
};

/// This block's of all steps: as even as can be.
__device__ inline Steps steps_of(unsigned steps, const Place& place) {
  const unsigned each = steps / place.splits, more = steps % place.splits,
                 begin = place.split * each + min(place.split, more);
  return {begin, begin + each + (place.split < more ? 1 : 0)};
}

/// Arrivals at tiles, zero before and after every launch. A module has its own, and a device runs the
/// launches of a module one after the other.
__device__ unsigned arrivals[kMaxSplitTiles];

/// Whether this block is the last of `expected` at `counter`. What the others wrote before is then visible.
/// `flag` is shared memory.
__device__ inline bool arrives_last(unsigned* counter, unsigned expected, unsigned* flag) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) *flag = atomicInc(counter, expected - 1) == expected - 1 ? 1 : 0;
  __syncthreads();
  const bool last = *flag != 0;
  __threadfence();
  return last;
}

/// The thread's sums over the steps of a split become those over all of them, in the order of splits, in the
/// block of the tile that arrives last: true there. partials: for each tile [splits, Count / 4, Threads, 4].
/// Moves 2·splits·M·N floats.
template <class T, unsigned Count>
__device__ inline bool sum_splits(float (&sums)[Count], float* partials, const TileMap& map,
                                  const Place& place, float* shared) {
  static_assert(Count % 4 == 0 && Count * T::kThreads == T::kM * T::kN);
  constexpr unsigned stride = T::kThreads, part = Count / 4 * T::kThreads;
  const unsigned splits = place.splits;
  if (splits == 1) return true;
  float4* tile = reinterpret_cast<float4*>(partials) +
                 (map.first_partial[place.layer] + size_t{place.tile} * splits) * part + threadIdx.x;
  float4* own = tile + size_t{place.split} * part;
#pragma unroll
  for (unsigned i = 0; i < Count / 4; ++i)
    own[i * stride] = float4{sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]};
  if (!arrives_last(arrivals + map.first_tile[place.layer] + place.tile, splits,
                    reinterpret_cast<unsigned*>(shared)))
    return false;
#pragma unroll
  for (unsigned i = 0; i < Count; ++i) sums[i] = 0;
#pragma unroll 1
  for (unsigned s = 0; s < splits; ++s, tile += part) {
#pragma unroll
    for (unsigned i = 0; i < Count / 4; ++i) {
      const float4 v = __ldcg(tile + i * stride);
      sums[4 * i] += v.x, sums[4 * i + 1] += v.y, sums[4 * i + 2] += v.z, sums[4 * i + 3] += v.w;
    }
  }
  return true;
}

}  // namespace tr0n::cuda
