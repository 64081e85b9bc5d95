#include <algorithm>

#include "cpu/gemm_plan.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

size_t round_up(size_t n, size_t part) { return (n + part - 1) / part * part; }

/// A task: panels [p0, p1) of rows, columns [column, column + width).
class Task {
 public:
  Task(const Plan& plan, size_t index, const InstructionSet& set)
      : plan_(plan),
        product_(*plan.product),
        target_(set),
        panels_(plan.panels()),
        nr_(set.columns),
        p0_(index / plan.across * plan.block),
        p1_(std::min(p0_ + plan.block, panels_.count())),
        column_(index % plan.across * plan.columns),
        width_(plan.width(column_)),
        padded_(round_up(width_, set.columns)) {
    thread_local Scratch scratch;
    // Sizes that hardly depend on the task: a thread then allocates once.
    const size_t b_floats = std::max(padded_ * plan.k, kTaskFloats);
    b_ = scratch.get<float>(b_floats + kTaskFloats);
    c_ = b_ + b_floats;
  }

  /// b's group for all of k, then panel after panel. Half a tile ahead of its use, b comes from the
  /// second-level cache.
  void groups() const {
    pack_group();
    for (size_t p = p0_; p < p1_; ++p) {
      for (size_t j = 0; j < padded_; j += nr_) {
        const float *a = plan_.packed, *b = b_;
        for (size_t t = 0; t < product_.count; ++t) {
          const size_t k = product_.terms[t].k;
          run(p, k, a + start(p) * k, b + j * k, c_ + j, t > 0, b + j * k + kAhead * nr_, nr_);
          a += plan_.m * k;
          b += padded_ * k;
        }
      }
      give(column_, width_, p, p + 1);
    }
  }

  void columns() const {
    const Term& term = product_.terms[0];
    for (size_t j = 0; j < width_; j += nr_) {
      const float* source = term.b.data + (column_ + j) * term.b.column_stride;
      const size_t lines = std::min(nr_, width_ - j);
      target_.pack_transposed(source, term.b.column_stride, lines, term.k, nr_, b_);
      for (size_t p = p0_; p < p1_; ++p) {
        // The next lines lie behind these: a tile of their floats for every step of k.
        const bool fetches = p == p0_ && j + nr_ < width_;
        run(p, term.k, plan_.packed + start(p) * term.k, b_, c_, false,
            fetches ? source + nr_ * term.b.column_stride : b_, fetches ? nr_ : 0, nr_);
        give(column_ + j, lines, p, p + 1, nr_);
      }
    }
  }

  void pieces() const {
    const float* a = plan_.packed;
    bool load = false;
    for (size_t t = 0; t < product_.count; ++t) {
      const Term& term = product_.terms[t];
      for (size_t k = 0; k < term.k; k += kPieceDepth) {
        const size_t depth = std::min(kPieceDepth, term.k - k), stride = term.b.row_stride;
        const float* source = term.b.data + k * stride + column_;
        target_.pack(source, stride, width_, depth, nr_, nr_ * depth, b_);
        for (size_t p = p0_; p < p1_; ++p)
          for (size_t j = 0; j < padded_; j += nr_) {
            const bool fetches = p == p0_ && k + depth < term.k;
            run(p, depth, a + start(p) * term.k + k * rows(p), b_ + j * depth,
                c_ + (start(p) - start(p0_)) * padded_ + j, load, fetches ? source + depth * stride + j : b_,
                fetches ? stride : 0);
          }
        load = true;
      }
      a += plan_.m * term.k;
    }
    if (!load) std::fill_n(c_, (start(p1_) - start(p0_)) * padded_, 0.0f);
    give(column_, width_, p0_, p1_);
  }

  void strips() const {
    pack_group();
    const Term& term = product_.terms[0];
    const bool fetches = width_ == product_.n && product_.companions[0] != nullptr;
    for (size_t p = p0_; p < p1_; ++p) {
      const size_t row = (plan_.begin + start(p)) * product_.n, size = rows(p) * product_.n;
      for (size_t j = 0; j < padded_; j += nr_) {
        // The three arrays' rows, one after the other, as far as the steps go.
        const size_t at = j * term.k;
        const float* fetch = fetches && at < 3 * size ? product_.companions[at / size] + row + at % size : b_;
        run(p, term.k, plan_.packed + start(p) * term.k, b_ + j * term.k, c_ + j, false, fetch,
            fetch == b_ ? 0 : nr_);
      }
      give(column_, width_, p, p + 1);
    }
  }

 private:
  static constexpr size_t kAhead = 16;  // steps of k

  size_t start(size_t p) const { return panels_.start(p); }
  size_t rows(size_t p) const { return start(p + 1) - start(p); }

  void run(size_t p, size_t depth, const float* a, const float* b, float* c, bool load, const float* fetch,
           size_t fetch_stride, size_t ldc = 0) const {
    target_.tile[rows(p) - 1](depth, a, b, c, ldc == 0 ? padded_ : ldc, load, fetch, fetch_stride);
  }

  /// [term][panel][k][columns of a tile]
  void pack_group() const {
    float* to = b_;
    for (size_t t = 0; t < product_.count; ++t) {
      const Term& term = product_.terms[t];
      const MatrixView& b = term.b;
      if (b.column_stride == 1)
        target_.pack(b.data + column_, b.row_stride, width_, term.k, nr_, nr_ * term.k, to);
      else
        for (size_t j = 0; j < width_; j += nr_)
          target_.pack_transposed(b.data + (column_ + j) * b.column_stride, b.column_stride,
                                  std::min(nr_, width_ - j), term.k, nr_, to + j * term.k);
      to += padded_ * term.k;
    }
  }

  /// Hands over the sums of panels [p0, p1), which are at c_ on.
  void give(size_t column, size_t width, size_t p0, size_t p1, size_t stride = 0) const {
    const Part part{
        plan_.begin + start(p0), start(p1) - start(p0), column, width, stride == 0 ? padded_ : stride, c_};
    product_.sink.take(product_.sink.context, part);
  }

  const Plan& plan_;
  const Product& product_;
  const InstructionSet& target_;
  const Panels panels_;
  const size_t nr_, p0_, p1_, column_, width_, padded_;
  float *b_ = nullptr, *c_ = nullptr;
};

}  // namespace

void compute_task(const Plan& plan, size_t index, const InstructionSet& set) {
  const Task task(plan, index, set);
  switch (plan.walk) {
    case Walk::groups:
      return task.groups();
    case Walk::columns:
      return task.columns();
    case Walk::pieces:
      return task.pieces();
    case Walk::strips:
      return task.strips();
  }
}

}  // namespace tr0n
