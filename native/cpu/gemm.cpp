#include "cpu/gemm.h"

#include <algorithm>
#include <functional>

#include "base/thread_pool.h"
#include "cpu/gemm_plan.h"
#include "cpu/scratch.h"

// a is packed once, by all threads; then each task packs a group of columns of b and multiplies it with all
// of a. The packed group stays in the second-level cache (1/2 MiB), panels of a stream through: a register
// tile of 12 × 32 reads 176 bytes for its 12 cycles of a step of k, which every level of cache delivers. So a
// sum runs over all of k in registers, and c is never read back. gemm_plan.h has the other ways, for few rows
// and for sinks.
namespace tr0n {
namespace {

constexpr size_t kPackedFloats = size_t{1} << 24;  // of a in one go
constexpr size_t kSerialProducts = 2'000'000;  // multiply-adds that one thread does in 10 to 50 microseconds
constexpr size_t kSerialPacking = 16384;       // floats that are packed while another thread is woken

/// Calls body(i) for i in [0, n), on the pool's threads where there is more than one.
template <class Body>
void for_each(size_t threads, size_t n, const Body& body) {
  if (threads > 1 && n > 1) return ThreadPool::instance().parallel_for(n, std::ref(body));
  for (size_t i = 0; i < n; ++i) body(i);
}

bool same_factor(const Product& x, const Product& y) {
  if (x.m != y.m || x.count != y.count || x.wide != y.wide) return false;
  for (size_t t = 0; t < x.count; ++t) {
    const MatrixView &a = x.terms[t].a, &b = y.terms[t].a;
    if (a.data != b.data || a.row_stride != b.row_stride || a.column_stride != b.column_stride ||
        x.terms[t].k != y.terms[t].k)
      return false;
  }
  return true;
}

void pack_all(Plan* plans, size_t count, size_t threads, const InstructionSet& set) {
  size_t floats = 0;
  for (size_t i = 0; i < count; ++i) {
    plans[i].packs = i == 0 || !same_factor(*plans[i - 1].product, *plans[i].product);
    if (plans[i].packs) floats += plans[i].m * plans[i].k;
  }
  thread_local Scratch scratch;
  float* packed = scratch.get<float>(floats);
  for (size_t i = 0; i < count; ++i) {
    if (!plans[i].packs) {
      plans[i].packed = plans[i - 1].packed;
      continue;
    }
    const Plan& plan = plans[i];
    const size_t size = plan.m * plan.k, panels = plan.panels().count();
    plans[i].packed = packed;
    packed += size;
    const size_t pieces = size < kSerialPacking ? 1 : std::min(panels, 4 * threads);
    for_each(threads, pieces, [&](size_t piece) {
      pack_a(plan, panels * piece / pieces, panels * (piece + 1) / pieces, set);
    });
  }
}

}  // namespace

void multiply(const Product* products, size_t count, const InstructionSet& set) {
  size_t work = 0, most_rows = 0, slab = ~size_t{0};
  for (size_t i = 0; i < count; ++i) {
    work += work_of(products[i]);
    most_rows = std::max(most_rows, products[i].m);
    const size_t fit = kPackedFloats / std::max<size_t>(total_depth(products[i]), 1);
    slab = std::min(slab, std::max(set.rows, fit / set.rows * set.rows));
  }
  const size_t threads = work < kSerialProducts ? 1 : ThreadPool::instance().size();
  thread_local Scratch scratch;
  Plan* plans = scratch.get<Plan>(count);
  for (size_t begin = 0; begin < most_rows; begin += std::min(slab, most_rows - begin)) {
    size_t planned = 0, tasks = 0;
    for (size_t i = 0; i < count; ++i) {
      const Product& product = products[i];
      if (product.n == 0 || product.m <= begin) continue;
      // A few tasks a thread even out what else the machine does.
      const size_t wanted = threads == 1 ? 1 : (4 * threads * work_of(product) + work - 1) / work;
      plans[planned] = plan_product(product, begin, std::min(slab, product.m - begin), wanted, set);
      tasks += plans[planned++].tasks;
    }
    pack_all(plans, planned, threads, set);
    for_each(threads, tasks, [&](size_t index) {
      const Plan* plan = plans;
      for (; index >= plan->tasks; ++plan) index -= plan->tasks;
      compute_task(*plan, index, set);
    });
  }
}

void gemm(size_t m, size_t n, size_t k, const MatrixView& a, const MatrixView& b, const float* add, float* c,
          const InstructionSet& set) {
  struct Result {
    const float* add;
    float* c;
    size_t n;
    const InstructionSet& set;
  } const result{add, c, n, set};
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
      r.set.finish_input(part.columns, part.sums + i * part.stride, r.add != nullptr ? r.add + at : nullptr,
                         r.c + at, nullptr, nullptr);
    }
  };
  multiply(&product, 1, set);
}

}  // namespace tr0n
