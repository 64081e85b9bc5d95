#pragma once
#include <cstddef>

#include "cpu/gemm.h"
#include "cpu/panels.h"

namespace tr0n {

/// How a product is computed.
enum class Walk {
  groups,   ///< many rows: a group of b's columns is packed for all of k, then multiplied with all rows
  columns,  ///< few rows, b's columns lie in lines: one tile of columns after the other, the next being
            ///< fetched
  pieces,   ///< few rows, b's rows lie in lines: pieces of some rows, whose sums wait in cache, likewise
  strips,   ///< wide parts: as groups, with what the sink will touch being fetched
};

constexpr size_t kPieceColumns = 256, kPieceDepth = 128;  ///< of Walk::pieces
constexpr size_t kStripRows = 12, kStripColumns = 4096;   ///< of Walk::strips: what is fetched fits the cache
/// Packed columns of b, and sums, that fit a task's memory; b's may be more where k is large.
constexpr size_t kTaskFloats = 131072;

/// A product on its way through multiply(): m rows of it from `begin` on, divided into tasks of `block`
/// panels of rows by `columns` columns.
struct Plan {
  const Product* product;
  const float* packed;  ///< a of all terms, one after the other: [panel][k][rows of the panel]
  Walk walk;
  bool packs;  ///< false where the product before it has the same a
  size_t begin, m, k, rows, columns, across, block, tasks;

  Panels panels() const { return {m, rows}; }
  size_t width(size_t column) const { return product->n - column < columns ? product->n - column : columns; }
};

/// Divides rows [begin, begin + m) of a product into about `wanted` tasks.
Plan plan_product(const Product& product, size_t begin, size_t m, size_t wanted, const InstructionSet& set);

size_t total_depth(const Product& product);
/// Multiply-adds.
size_t work_of(const Product& product);

/// Packs panels [p0, p1) of a.
void pack_a(const Plan& plan, size_t p0, size_t p1, const InstructionSet& set);
/// Computes one task of a plan.
void compute_task(const Plan& plan, size_t task, const InstructionSet& set);

}  // namespace tr0n
