#include "cpu/gemm.h"

#include <algorithm>
#include <functional>

#include "core/thread_pool.h"
#include "cpu/panels.h"
#include "cpu/scratch.h"

// a is packed once, by all threads; then each task packs a group of columns of b and multiplies it with all
// of a. The packed group stays in the second-level cache (1/2 MiB), panels of a stream through: a register
// tile of 12 × 32 reads 176 bytes for its 12 cycles of a step of k, which every level of cache delivers. So a
// sum runs over all of k in registers, and c is never read back.
namespace tr0n {
namespace {

constexpr size_t kGroupFloats = 131072;  // of b, packed
constexpr size_t kMaxColumns = 512;
constexpr size_t kPackedFloats = size_t{1} << 24;  // of a in one go
constexpr size_t kSerialProducts = 2'000'000;  // multiply-adds that one thread does in 10 to 50 microseconds
constexpr size_t kDepthBlock = 64;             // rows that are packed together where they lie in lines

// With few rows, where b moves from memory once and is hardly used, what counts is how it is read: b in lines
// is taken in pieces of this width and depth, whose sums wait in cache.
constexpr size_t kFewRows = 96, kPieceColumns = 256, kPieceDepth = 256;

size_t parts(size_t n, size_t part) { return (n + part - 1) / part; }

size_t total_depth(const Product& product) {
  size_t k = 0;
  for (size_t t = 0; t < product.count; ++t) k += product.terms[t].k;
  return k;
}

bool lies_in_lines(const MatrixView& b) { return b.column_stride == 1; }

/// A product on its way through multiply(): rows [begin, begin + panels' rows) of it.
struct Plan {
  const Product* product;
  const float* packed;  ///< a of all terms, one after the other: [panel][k][rows of the panel]
  size_t begin, m, k, columns, across, block, tasks;  ///< block: panels of a task
  bool pieces, packs;

  size_t width(size_t column) const { return std::min(columns, product->n - column); }
};

class Multiplication {
 public:
  Multiplication(const Target& target, Plan* plans, size_t count)
      : target_(target), plans_(plans), count_(count) {}

  /// Packs panels [p0, p1) of a.
  void pack_a(const Plan& plan, size_t p0, size_t p1) const {
    const Panels panels(plan.m, target_.rows);
    float* to = const_cast<float*>(plan.packed);
    for (size_t t = 0; t < plan.product->count; ++t) {
      const Term& term = plan.product->terms[t];
      const MatrixView& a = term.a;
      if (a.column_stride == 1) {
        for (size_t p = p0; p < p1; ++p) {
          const size_t i = panels.start(p), rows = panels.start(p + 1) - i;
          target_.pack_transposed(a.data + (plan.begin + i) * a.row_stride, a.row_stride, rows, term.k, rows,
                                  to + i * term.k);
        }
      } else {
        for (size_t k = 0; k < term.k; k += kDepthBlock)
          for (size_t p = p0; p < p1; ++p) {
            const size_t i = panels.start(p), rows = panels.start(p + 1) - i;
            target_.pack(a.data + plan.begin + i + k * a.column_stride, a.column_stride, rows,
                         std::min(kDepthBlock, term.k - k), rows, to + i * term.k + k * rows);
          }
      }
      to += plan.m * term.k;
    }
  }

  void task(size_t index) const {
    const Plan* plan = plans_;
    for (; index >= plan->tasks; ++plan) index -= plan->tasks;
    const size_t column = index % plan->across * plan->columns, p0 = index / plan->across * plan->block,
                 p1 = std::min(p0 + plan->block, Panels(plan->m, target_.rows).count());
    thread_local Scratch scratch;
    const size_t padded = parts(plan->width(column), target_.columns) * target_.columns;
    const size_t b_floats =
        std::max(plan->pieces ? kPieceColumns * kPieceDepth : padded * plan->k, kGroupFloats);
    const size_t c_floats = std::max(kFewRows * kPieceColumns, Target::kMaxRows * kMaxColumns);
    float* b = scratch.get<float>(b_floats + c_floats);
    if (plan->pieces)
      in_pieces(*plan, column, padded, p0, p1, b, b + b_floats);
    else
      whole(*plan, column, padded, p0, p1, b, b + b_floats);
  }

 private:
  /// Columns [column, column + width) of b's rows [k0, k0 + depth): [panel][depth][columns of a tile].
  void pack_b(const MatrixView& b, size_t column, size_t width, size_t k0, size_t depth, float* to) const {
    const size_t nr = target_.columns;
    if (lies_in_lines(b)) {
      for (size_t k = 0; k < depth; k += kDepthBlock)
        for (size_t j = 0; j < width; j += nr)
          target_.pack(b.data + (k0 + k) * b.row_stride + column + j, b.row_stride, std::min(nr, width - j),
                       std::min(kDepthBlock, depth - k), nr, to + j * depth + k * nr);
      return;
    }
    for (size_t j = 0; j < width; j += nr)
      target_.pack_transposed(b.data + (column + j) * b.column_stride + k0, b.column_stride,
                              std::min(nr, width - j), depth, nr, to + j * depth);
  }

  void give(const Plan& plan, size_t column, size_t row, size_t rows, const float* sums,
            size_t stride) const {
    const Part part{plan.begin + row, rows, column, plan.width(column), stride, sums};
    plan.product->sink.take(plan.product->sink.context, part);
  }

  void whole(const Plan& plan, size_t column, size_t padded, size_t p0, size_t p1, float* b, float* c) const {
    const Product& product = *plan.product;
    float* to = b;
    for (size_t t = 0; t < product.count; to += padded * product.terms[t].k, ++t)
      pack_b(product.terms[t].b, column, plan.width(column), 0, product.terms[t].k, to);
    const Panels panels(plan.m, target_.rows);
    for (size_t p = p0; p < p1; ++p) {
      const size_t i = panels.start(p), rows = panels.start(p + 1) - i;
      const auto tile = target_.tile[rows - 1];
      if (product.count == 0) std::fill_n(c, rows * padded, 0.0f);
      for (size_t j = 0; j < padded; j += target_.columns) {
        const float *a = plan.packed, *b_term = b;
        for (size_t t = 0; t < product.count; ++t) {
          const size_t k = product.terms[t].k;
          tile(k, a + i * k, b_term + j * k, c + j, padded, t > 0);
          a += plan.m * k;
          b_term += padded * k;
        }
      }
      give(plan, column, i, rows, c, padded);
    }
  }

  void in_pieces(const Plan& plan, size_t column, size_t padded, size_t p0, size_t p1, float* b,
                 float* c) const {
    const Panels panels(plan.m, target_.rows);
    const size_t first = panels.start(p0);
    const float* a = plan.packed;
    bool load = false;
    for (size_t t = 0; t < plan.product->count; ++t) {
      const Term& term = plan.product->terms[t];
      for (size_t k = 0; k < term.k; k += kPieceDepth) {
        const size_t depth = std::min(kPieceDepth, term.k - k);
        pack_b(term.b, column, plan.width(column), k, depth, b);
        for (size_t p = p0; p < p1; ++p) {
          const size_t i = panels.start(p), rows = panels.start(p + 1) - i;
          for (size_t j = 0; j < padded; j += target_.columns)
            target_.tile[rows - 1](depth, a + i * term.k + k * rows, b + j * depth,
                                   c + (i - first) * padded + j, padded, load);
        }
        load = true;
      }
      a += plan.m * term.k;
    }
    if (!load) std::fill_n(c, (panels.start(p1) - first) * padded, 0.0f);
    give(plan, column, first, panels.start(p1) - first, c, padded);
  }

  const Target& target_;
  const Plan* plans_;
  size_t count_;
};

bool same_factor(const Product& x, const Product& y) {
  if (x.m != y.m || x.count != y.count) return false;
  for (size_t t = 0; t < x.count; ++t) {
    const MatrixView &a = x.terms[t].a, &b = y.terms[t].a;
    if (a.data != b.data || a.row_stride != b.row_stride || a.column_stride != b.column_stride ||
        x.terms[t].k != y.terms[t].k)
      return false;
  }
  return true;
}

/// Divides a product's rows [begin, begin + m) into tasks: columns in groups that stay in cache, and where
/// these are too few for the threads, narrower groups, then rows.
Plan plan_of(const Product& product, size_t begin, size_t m, size_t threads, const Target& target) {
  Plan plan{};
  plan.product = &product;
  plan.begin = begin;
  plan.m = m;
  plan.k = total_depth(product);
  plan.pieces = m <= kFewRows && plan.k > kPieceDepth && !product.fixed_columns;
  for (size_t t = 0; t < product.count; ++t) plan.pieces &= lies_in_lines(product.terms[t].b);
  const size_t nr = target.columns, wanted = 4 * threads;
  plan.columns = plan.pieces ? kPieceColumns : part_columns(plan.k, target);
  while (threads > 1 && !product.fixed_columns && parts(product.n, plan.columns) < wanted &&
         plan.columns > nr)
    plan.columns = parts(plan.columns / 2, nr) * nr;
  plan.across = parts(product.n, plan.columns);
  const size_t panels = Panels(m, target.rows).count();
  const size_t blocks = threads == 1 ? 1 : std::min(panels, parts(wanted, plan.across));
  plan.block = parts(panels, blocks);
  plan.tasks = plan.across * parts(panels, plan.block);
  return plan;
}

}  // namespace

size_t part_columns(size_t k, const Target& target) {
  const size_t fit = k == 0 ? kMaxColumns : kGroupFloats / k;
  return std::max(target.columns, std::min(kMaxColumns, fit) / target.columns * target.columns);
}

void multiply(const Product* products, size_t count, const Target& target) {
  size_t work = 0, most_rows = 0, slab = ~size_t{0};
  for (size_t i = 0; i < count; ++i) {
    const size_t k = std::max<size_t>(total_depth(products[i]), 1);
    work += products[i].m * products[i].n * k;
    most_rows = std::max(most_rows, products[i].m);
    slab = std::min(slab, std::max(target.rows, kPackedFloats / k / target.rows * target.rows));
  }
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = work < kSerialProducts ? 1 : pool.size();
  const auto for_each = [&](size_t n, const auto& body) {
    if (threads == 1)
      for (size_t i = 0; i < n; ++i) body(i);
    else
      pool.parallel_for(n, std::ref(body));
  };
  thread_local Scratch plan_scratch, packed_scratch;
  Plan* plans = plan_scratch.get<Plan>(count);
  for (size_t begin = 0; begin < most_rows; begin += std::min(slab, most_rows - begin)) {
    size_t planned = 0, floats = 0, tasks = 0;
    for (size_t i = 0; i < count; ++i) {
      const Product& product = products[i];
      if (product.n == 0 || product.m <= begin) continue;
      Plan& plan = plans[planned];
      plan = plan_of(product, begin, std::min(slab, product.m - begin), threads, target);
      plan.packs = planned == 0 || !same_factor(*plans[planned - 1].product, product);
      if (plan.packs) floats += plan.m * plan.k;
      tasks += plan.tasks;
      ++planned;
    }
    float* packed = packed_scratch.get<float>(floats);
    for (size_t i = 0; i < planned; ++i) {
      plans[i].packed = plans[i].packs ? packed : plans[i - 1].packed;
      if (plans[i].packs) packed += plans[i].m * plans[i].k;
    }
    const Multiplication all(target, plans, planned);
    for (size_t i = 0; i < planned; ++i) {
      if (!plans[i].packs) continue;
      const size_t panels = Panels(plans[i].m, target.rows).count();
      constexpr size_t serial = 16384;  // floats that are packed while another thread is woken
      const size_t pieces = plans[i].m * plans[i].k < serial ? 1 : std::min(panels, 4 * threads);
      const auto pack = [&](size_t piece) {
        all.pack_a(plans[i], panels * piece / pieces, panels * (piece + 1) / pieces);
      };
      if (pieces == 1)
        pack(0);
      else
        for_each(pieces, pack);
    }
    for_each(tasks, [&](size_t index) { all.task(index); });
  }
}

void gemm(size_t m, size_t n, size_t k, const MatrixView& a, const MatrixView& b, const float* add, float* c,
          const Target& target) {
  struct Result {
    const float* add;
    float* c;
    size_t n;
    const Target& target;
  } const result{add, c, n, target};
  const Term term{a, b, k};
  Product product;
  product.m = m;
  product.n = n;
  product.terms = &term;
  product.count = 1;
  product.sink.context = &result;
  product.sink.take = [](const void* context, const Part& part) {
    const Result& r = *static_cast<const Result*>(context);
    for (size_t i = 0; i < part.rows; ++i) {
      const size_t at = (part.row + i) * r.n + part.column;
      r.target.finish_input(part.columns, part.sums + i * part.stride,
                            r.add != nullptr ? r.add + at : nullptr, r.c + at, nullptr, nullptr);
    }
  };
  multiply(&product, 1, target);
}

}  // namespace tr0n
