#pragma once
#include <cstddef>

#include "kernels/wide_access.cuh"

/// Sums leave the registers through shared memory, so that global memory is read and written along whole rows
/// whatever a thread's sums are, and what is done with an output is compiled once and not for every sum.
namespace tr0n::cuda {

__device__ inline void load(const float* from, float (&values)[1]) { values[0] = *from; }
__device__ inline void load(const float* from, float (&values)[4]) {
  const float4 v = load_global4(from);
  values[0] = v.x, values[1] = v.y, values[2] = v.z, values[3] = v.w;
}
__device__ inline void store(float* to, const float (&values)[1]) { *to = values[0]; }
__device__ inline void store(float* to, const float (&values)[4]) {
  store_global4(to, float4{values[0], values[1], values[2], values[3]});
}

/// Where a sum lies: chunks of four are permuted within rows, so that neither a product's writes, eight or
/// sixteen lanes in one or several rows, nor the reads along a row conflict.
template <class T, class Product>
__device__ inline unsigned output_place(unsigned row, unsigned column) {
  return row * T::kN + 4 * (column / 4 ^ Product::output_permutation(row)) + column % 4;
}

template <class T, class Product, unsigned Width, unsigned Extra, class Fetch, class Finish>
__device__ inline void finish_pass(const float* shared, unsigned first, unsigned rows, unsigned columns,
                                   const Fetch& fetch, const Finish& finish) {
  constexpr unsigned across = T::kN / Width, count = T::kOutputRows * across / T::kThreads,
                     batch = Width == 4 && count % 2 == 0 ? 2 : 1;
#pragma unroll 1
  for (unsigned i = 0; i < count; i += batch) {
    float extra[batch][Extra][Width];
    const auto each = [&](const auto& visit) {
#pragma unroll
      for (unsigned b = 0; b < batch; ++b) {
        const unsigned piece = threadIdx.x + (i + b) * T::kThreads, row = piece / across,
                       column = piece % across * Width;
        if (first + row < rows && column < columns) visit(row, column, extra[b]);
      }
    };
    each([&](unsigned row, unsigned column, auto& fetched) { fetch(first + row, column, fetched); });
    each([&](unsigned row, unsigned column, auto& fetched) {
      float values[Width];
      const float* from = shared + output_place<T, Product>(row, column);
      if constexpr (Width == 4) {
        const float4 v = load_shared4(from);
        values[0] = v.x, values[1] = v.y, values[2] = v.z, values[3] = v.w;
      } else {
        values[0] = *from;
      }
      finish(first + row, column, values, fetched);
    });
  }
}

template <class T, unsigned Extra, unsigned First, class Product, class Fetch, class Finish>
__device__ inline void output_pass(float* shared, const Product& product, unsigned rows, unsigned columns,
                                   bool vector, const Fetch& fetch, const Finish& finish) {
  if (First >= rows) return;
  __syncthreads();
  product.template each<First, T::kOutputRows>([&](unsigned row, unsigned column, const auto& values) {
    float* to = shared + output_place<T, Product>(row, column);
    if constexpr (Product::kVector == 4)
      store_shared4(to, float4{values[0], values[1], values[2], values[3]});
    else if constexpr (Product::kVector == 2)
      *reinterpret_cast<float2*>(to) = float2{values[0], values[1]};
    else
      *to = values[0];
  });
  __syncthreads();
  if (vector)
    finish_pass<T, Product, 4, Extra>(shared, First, rows, columns, fetch, finish);
  else
    finish_pass<T, Product, 1, Extra>(shared, First, rows, columns, fetch, finish);
  if constexpr (First + T::kOutputRows < T::kM)
    output_pass<T, Extra, First + T::kOutputRows>(shared, product, rows, columns, vector, fetch, finish);
}

/// For the sums of rows [0, rows), columns [0, columns) of the tile, four side by side where `vector`, else
/// one: fetch(row, column, extra) reads what belongs to them into up to Extra arrays, then finish(row,
/// column, sums, extra). Several are fetched before the first is finished.
template <class T, unsigned Extra, class Product, class Fetch, class Finish>
__device__ inline void for_outputs(float* shared, const Product& product, unsigned rows, unsigned columns,
                                   bool vector, const Fetch& fetch, const Finish& finish) {
  output_pass<T, Extra, 0>(shared, product, rows, columns, vector, fetch, finish);
}

}  // namespace tr0n::cuda
