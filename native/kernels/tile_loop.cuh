#pragma once
#include "kernels/tile_panels.cuh"

namespace tr0n::cuda {

/// What a block computes: M × N sums by `Threads` threads, the factors in `Stages` pairs of panels that are
/// filled in turn, so that memory works while sums are made. Without asynchronous copies there are two.
template <unsigned M, unsigned N, unsigned Threads, unsigned Stages, Layout LeftLayout, Layout RightLayout>
struct Tile {
  using A = Panel<LeftLayout, M, Threads>;
  using B = Panel<RightLayout, N, Threads>;
  static constexpr unsigned kM = M, kN = N, kThreads = Threads, kStages = kAsync ? Stages : 2;
  static constexpr unsigned kStageFloats = A::kFloats + B::kFloats;
  static constexpr unsigned kSharedFloats = kStages * kStageFloats;
  /// Rows of sums that the panels' memory holds at once, for tile_output.cuh.
  static constexpr unsigned kOutputRows = M * N <= kSharedFloats       ? M
                                          : M / 2 * N <= kSharedFloats ? M / 2
                                                                       : M / 4;
};

/// Both factors from step k on, of which `depth` are left.
struct Factors {
  Factor a, b;
  unsigned depth;
};

/// The next step of one product; a class of the same form may go through several.
struct OneProduct {
  Factors now;

  template <class T>
  __device__ void advance() {
    T::A::advance(now.a);
    T::B::advance(now.b);
    now.depth = now.depth > kDepth ? now.depth - kDepth : 0;
  }
};

/// Σ over the steps of a panel of columns.
template <class P>
__device__ inline float column_sum(const float* panel, unsigned column) {
  static_assert(P::kLayout == Layout::columns);
  float sum = 0;
#pragma unroll 1
  for (unsigned k = 0; k < kDepth; k += 4) {  // four steps are permuted alike
    const float* four = panel + P::place(k, column / 4) + column % 4;
#pragma unroll
    for (unsigned e = 0; e < 4; ++e) sum += four[e * P::kFloats / kDepth];
  }
  return sum;
}

/// each(a, b) for `steps` steps of `source`, with the panels of both factors. No thread reads a panel after a
/// barrier that follows this.
template <class T, class Source, class Each>
__device__ inline void for_steps(float* shared, Source& source, unsigned steps, const Each& each) {
#if __CUDA_ARCH__ >= 800
  constexpr unsigned end = T::kSharedFloats;
  const auto start = [&](float* stage, bool more) {
    if (more) {
      copy_panel<typename T::A>(stage, source.now.a, source.now.depth);
      copy_panel<typename T::B>(stage + T::A::kFloats, source.now.b, source.now.depth);
      source.template advance<T>();
    }
    commit_copies();  // an empty group past the end keeps the count
  };
#pragma unroll 1
  for (unsigned step = 0; step + 1 < T::kStages; ++step) start(shared + step * T::kStageFloats, step < steps);
  unsigned read = 0, write = end - T::kStageFloats;
#pragma unroll 1
  for (unsigned step = 0; step < steps; ++step) {
    wait_for_copies<T::kStages - 2>();
    __syncthreads();  // everybody's copies are there, and nobody reads what is overwritten next
    start(shared + write, step + T::kStages - 1 < steps);
    each(shared + read, shared + read + T::A::kFloats);
    write = read;
    read = read + T::kStageFloats == end ? 0 : read + T::kStageFloats;
  }
#else
  const auto stage = [&](unsigned step) { return shared + step % 2 * T::kStageFloats; };
  StagedPanel<typename T::A> a;
  StagedPanel<typename T::B> b;
  bool vector_a = false, vector_b = false;
  const auto fetch = [&] {
    vector_a = source.now.a.vector;
    vector_b = source.now.b.vector;
    a.fetch(source.now.a, source.now.depth);
    b.fetch(source.now.b, source.now.depth);
    source.template advance<T>();
  };
  const auto store = [&](unsigned step) {
    a.store(stage(step), vector_a);
    b.store(stage(step) + T::A::kFloats, vector_b);
    __syncthreads();
  };
  if (steps == 0) return;
  fetch();
  store(0);
#pragma unroll 1
  for (unsigned step = 0; step < steps; ++step) {
    const bool more = step + 1 < steps;
    if (more) fetch();
    each(stage(step), stage(step) + T::A::kFloats);
    if (more) store(step + 1);
  }
#endif
}

}  // namespace tr0n::cuda
