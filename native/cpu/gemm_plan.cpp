#include "cpu/gemm_plan.h"

#include <algorithm>

namespace tr0n {
namespace {

constexpr size_t kMaxColumns = 512;

// Below this many rows b is read from memory and packed in about the time of the arithmetic.
constexpr size_t kFewRows = 96;

bool lies_in_lines(const MatrixView& b) { return b.column_stride == 1; }

Walk walk_of(const Product& product, size_t m, size_t k) {
  if (product.wide) return Walk::strips;
  if (m > kFewRows || k < 64) return Walk::groups;
  size_t rows_in_lines = 0;
  for (size_t t = 0; t < product.count; ++t) rows_in_lines += lies_in_lines(product.terms[t].b) ? 1 : 0;
  if (rows_in_lines == product.count) return Walk::pieces;
  return rows_in_lines == 0 && product.count == 1 ? Walk::columns : Walk::groups;
}

size_t columns_of(Walk walk, size_t k, size_t nr) {
  if (walk == Walk::pieces) return kPieceColumns;
  const size_t most = walk == Walk::strips ? kStripColumns : kMaxColumns;
  if (walk == Walk::columns) return most;
  const size_t fit = std::min(most, kTaskFloats / std::max<size_t>(k, 1));
  return std::max(nr, fit / nr * nr);
}

size_t parts(size_t n, size_t part) { return (n + part - 1) / part; }

}  // namespace

size_t total_depth(const Product& product) {
  size_t k = 0;
  for (size_t t = 0; t < product.count; ++t) k += product.terms[t].k;
  return k;
}

size_t work_of(const Product& product) {
  return product.m * product.n * std::max<size_t>(total_depth(product), 1);
}

Plan plan_product(const Product& product, size_t begin, size_t m, size_t wanted, const InstructionSet& set) {
  Plan plan{};
  plan.product = &product;
  plan.begin = begin;
  plan.m = m;
  plan.k = total_depth(product);
  plan.walk = walk_of(product, m, plan.k);
  plan.rows = plan.walk == Walk::strips ? std::min(kStripRows, set.rows) : set.rows;
  // Where columns are too few for all threads: narrower groups, then groups of rows.
  plan.columns = columns_of(plan.walk, plan.k, set.columns);
  while (plan.walk != Walk::strips && parts(product.n, plan.columns) < wanted && plan.columns > set.columns)
    plan.columns = parts(plan.columns / 2, set.columns) * set.columns;
  plan.across = parts(product.n, plan.columns);
  const size_t panels = plan.panels().count(), blocks = std::min(panels, parts(wanted, plan.across));
  plan.block = parts(panels, blocks);
  plan.tasks = plan.across * parts(panels, plan.block);
  return plan;
}

void pack_a(const Plan& plan, size_t p0, size_t p1, const InstructionSet& set) {
  constexpr size_t depth_block = 64;  // rows that are packed together where they lie in lines
  const Panels panels = plan.panels();
  float* to = const_cast<float*>(plan.packed);
  for (size_t t = 0; t < plan.product->count; ++t) {
    const Term& term = plan.product->terms[t];
    const MatrixView& a = term.a;
    const float* from = a.data + plan.begin * a.row_stride;
    if (a.column_stride == 1) {
      for (size_t p = p0; p < p1; ++p) {
        const size_t i = panels.start(p), rows = panels.start(p + 1) - i;
        set.pack_transposed(from + i * a.row_stride, a.row_stride, rows, term.k, rows, to + i * term.k);
      }
    } else {
      for (size_t k = 0; k < term.k; k += depth_block)
        for (size_t p = p0; p < p1; ++p) {
          const size_t i = panels.start(p), rows = panels.start(p + 1) - i;
          set.pack(from + i + k * a.column_stride, a.column_stride, rows, std::min(depth_block, term.k - k),
                   rows, 0, to + i * term.k + k * rows);
        }
    }
    to += plan.m * term.k;
  }
}

}  // namespace tr0n
