/// OptimiseLinear: weight gradients of small batches go straight into Adam's update.
#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/adam.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

/// A Gram matrix x·xᵀ [n, n] as the sum of `pieces` matrices at `at`, each over a piece of the columns: float
/// within a piece, double over them.
struct Gram {
  const float* x;
  size_t columns, pieces;
  float* at;
};

constexpr size_t kPiece = 512;

struct Square {
  float* c;
  size_t n;
};

void store(const void* context, const Part& part) {
  const Square& square = *static_cast<const Square*>(context);
  for (size_t i = 0; i < part.rows; ++i)
    std::copy_n(part.sums + i * part.stride, part.columns,
                square.c + (part.row + i) * square.n + part.column);
}

/// ‖dyᵀx‖²_F + ‖Σ_rows dy‖² of all layers together. Of a layer it is Σ_ij (dy·dyᵀ)_ij ((x·xᵀ)_ij + 1): the
/// bias is a weight of an input that is 1.
class GradientSquare {
 public:
  GradientSquare(size_t n, const LinearUpdate* layers, size_t count) : n_(n), count_(count) {
    thread_local Scratch gram_scratch, float_scratch;
    grams_ = gram_scratch.get<Gram>(2 * count);
    size_t pieces = 0;
    for (size_t l = 0; l < count; ++l) {
      add(2 * l, layers[l].dy, layers[l].out, pieces);
      add(2 * l + 1, layers[l].x, layers[l].in, pieces);
    }
    float* at = float_scratch.get<float>(pieces * n * n);
    for (size_t g = 0; g < 2 * count; ++g) {
      if (const Gram* first = same(g)) {
        grams_[g].at = first->at;
        continue;
      }
      grams_[g].at = at;
      at += grams_[g].pieces * n * n;
    }
    multiply_all(pieces);
  }

  double value() const {
    thread_local Scratch scratch;
    double* rows = scratch.get<double>(n_);
    for_ranges(n_, n_ * count_ * 8, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) rows[i] = row(i);
    });
    double total = 0;
    for (size_t i = 0; i < n_; ++i) total += rows[i];
    return total < 0 ? 0 : total;  // rounding may leave a tiny negative number; NaN stays
  }

 private:
  void add(size_t g, const float* x, size_t columns, size_t& pieces) {
    grams_[g] = {x, columns, (columns + kPiece - 1) / kPiece, nullptr};
    if (same(g) == nullptr) pieces += grams_[g].pieces;
  }

  /// The same matrix earlier in the list: layers share inputs.
  const Gram* same(size_t g) const {
    for (size_t other = 0; other < g; ++other)
      if (grams_[other].x == grams_[g].x && grams_[other].columns == grams_[g].columns) return grams_ + other;
    return nullptr;
  }

  void multiply_all(size_t pieces) const {
    thread_local Scratch term_scratch, square_scratch, product_scratch;
    Term* terms = term_scratch.get<Term>(pieces);
    Square* squares = square_scratch.get<Square>(pieces);
    Product* products = product_scratch.get<Product>(pieces);
    size_t p = 0;
    for (size_t g = 0; g < 2 * count_; ++g) {
      if (same(g) != nullptr) continue;
      const Gram& gram = grams_[g];
      for (size_t piece = 0; piece < gram.pieces; ++piece, ++p) {
        const float* x = gram.x + piece * kPiece;
        terms[p] = {
            {x, gram.columns, 1}, {x, 1, gram.columns}, std::min(kPiece, gram.columns - piece * kPiece)};
        squares[p] = {gram.at + piece * n_ * n_, n_};
        products[p] = {n_, n_, terms + p, 1, {store, squares + p}};
      }
    }
    multiply(products, p);
  }

  double row(size_t i) const {
    double sum = 0;
    for (size_t l = 0; l < count_; ++l)
      for (size_t j = 0; j < n_; ++j)
        sum += entry(grams_[2 * l], i, j) * (entry(grams_[2 * l + 1], i, j) + 1);
    return sum;
  }
  double entry(const Gram& gram, size_t i, size_t j) const {
    double sum = 0;
    for (size_t piece = 0; piece < gram.pieces; ++piece)
      sum += static_cast<double>(gram.at[(piece * n_ + i) * n_ + j]);
    return sum;
  }

  size_t n_;
  size_t count_;
  Gram* grams_ = nullptr;
};

struct Update {
  const LinearUpdate* layer;
  const AdamFactors* factors;
  size_t n;
};

void take(const void* context, const Part& part) {
  const Update& update = *static_cast<const Update*>(context);
  const LinearUpdate& layer = *update.layer;
  for (size_t i = 0; i < part.rows; ++i) {
    const size_t begin = (part.row + i) * layer.in + part.column;
    apply_adam(*update.factors, begin, begin + part.columns, part.sums + i * part.stride, layer.weight);
  }
  if (part.column != 0) return;
  for (size_t o = part.row; o < part.row + part.rows; ++o) {
    double sum = 0;
    for (size_t i = 0; i < update.n; ++i) sum += static_cast<double>(layer.dy[i * layer.out + o]);
    const float gradient = static_cast<float>(sum);
    apply_adam(*update.factors, o, o + 1, &gradient, layer.bias);
  }
}

class CpuLinearUpdateKernels final : public LinearUpdateKernels {
 public:
  void optimise(const OptimiseLinear& a) const override {
    double square = GradientSquare(a.n, a.layers, a.count).value();
    for (size_t i = 0; i < a.vector_count; ++i)
      square += instruction_set().square_sum(a.vectors[i].gradient, a.vectors[i].size);
    const double norm = std::sqrt(square);
    if (!take_step(*a.loss, norm, *a.totals)) return;
    const AdamFactors factors = adam_factors(*a.step, norm);
    thread_local Scratch term_scratch, update_scratch, product_scratch;
    Term* terms = term_scratch.get<Term>(a.count);
    Update* updates = update_scratch.get<Update>(a.count);
    Product* products = product_scratch.get<Product>(a.count);
    for (size_t i = 0; i < a.count; ++i) {
      const LinearUpdate& l = a.layers[i];
      terms[i] = {{l.dy, 1, l.out}, {l.x, l.in, 1}, a.n};
      updates[i] = {&l, &factors, a.n};
      products[i] = {l.out,
                     l.in,
                     terms + i,
                     1,
                     {take, updates + i},
                     true,
                     {l.weight.m, l.weight.v, l.weight.parameters}};
    }
    multiply(products, a.count);
    for (size_t i = 0; i < a.vector_count; ++i)
      apply_adam(factors, 0, a.vectors[i].size, a.vectors[i].gradient, a.vectors[i].arrays);
  }

  size_t most_rows() const override { return 64; }
};

}  // namespace

std::unique_ptr<const LinearUpdateKernels> make_linear_update_kernels() {
  return std::make_unique<CpuLinearUpdateKernels>();
}

}  // namespace tr0n
