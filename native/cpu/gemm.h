#pragma once
#include <cstddef>

#include "cpu/instruction_set.h"

namespace tr0n {

/// A read-only matrix; one of the strides is 1. Transposing swaps them.
struct MatrixView {
  const float* data;
  size_t row_stride, column_stride;
};

/// A product a [m, k]·b [k, n].
struct Term {
  MatrixView a, b;
  size_t k;
};

/// Complete sums: rows × columns of a product from (row, column) on, at sums [rows, ≥ columns] (row stride
/// `stride`), in a cache of the calling thread.
struct Part {
  size_t row, rows, column, columns, stride;
  const float* sums;
};

/// What is done with a product's sums: called once for every element, from several threads.
struct Sink {
  void (*take)(const void* context, const Part& part) = nullptr;
  const void* context = nullptr;
};

/// c [m, n] = Σ_terms a·b, given to the sink.
struct Product {
  size_t m = 0, n = 0;
  const Term* terms = nullptr;
  size_t count = 0;
  Sink sink;
  /// Parts are as wide as the cache allows: for a sink that walks through other memory row by row.
  bool wide = false;
  /// Arrays [m, n] that such a sink will read and write: fetched while the sums are made. Or null.
  const float* companions[3] = {nullptr, nullptr, nullptr};
};

/// All of the products, at once on all threads. Every element's sum runs over the terms and each term's k
/// upwards in one chain of operations that does not depend on its place in a tile, on m, n, or on the number
/// of threads: rows equal bit for bit whatever else is in the call.
void multiply(const Product* products, size_t count, const InstructionSet& set = instruction_set());

/// c [m, n] = a·b + add; `add` [m, n] may be null, or c.
void gemm(size_t m, size_t n, size_t k, const MatrixView& a, const MatrixView& b, const float* add, float* c,
          const InstructionSet& set = instruction_set());

}  // namespace tr0n
