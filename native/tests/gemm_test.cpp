#include "cpu/gemm.h"

#include "base/rng.h"
#include "base/thread_pool.h"
#include "cpu/tanh.h"
#include "device/device.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

std::vector<float> normals(size_t n, uint32_t stream) {
  std::vector<float> x(n);
  Philox(9).normal({stream, 0}, 0, Purpose::init, x.data(), n);
  return x;
}

std::vector<const InstructionSet*> targets() {
  std::vector<const InstructionSet*> all{&portable_instructions()};
  for (const InstructionSet* set : {avx512_instructions(), avx2_instructions(), neon_instructions()})
    if (set != nullptr) all.push_back(set);
  return all;
}

/// One product in the three forms that layers use, against double; returns the largest error over the sum of
/// the absolute products.
double worst_error(size_t m, size_t n, size_t k, const InstructionSet& set) {
  const std::vector<float> a = normals(m * k, 1), b = normals(k * n, 2), start = normals(m * n, 3);
  const MatrixView views_a[3] = {{a.data(), k, 1}, {a.data(), k, 1}, {a.data(), 1, m}};
  const MatrixView views_b[3] = {{b.data(), 1, k}, {b.data(), n, 1}, {b.data(), n, 1}};
  double worst = 0;
  for (int form = 0; form < 3; ++form) {
    std::vector<float> c(form == 0 ? start : std::vector<float>(m * n, NAN));
    gemm(m, n, k, views_a[form], views_b[form], form == 0 ? c.data() : nullptr, c.data(), set);
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < n; ++j) {
        double sum = form == 0 ? static_cast<double>(start[i * n + j]) : 0, size = 1e-3 + std::fabs(sum);
        for (size_t l = 0; l < k; ++l) {
          const double product =
              static_cast<double>(
                  views_a[form].data[i * views_a[form].row_stride + l * views_a[form].column_stride]) *
              static_cast<double>(
                  views_b[form].data[l * views_b[form].row_stride + j * views_b[form].column_stride]);
          sum += product;
          size += std::fabs(product);
        }
        const double error = std::fabs(sum - static_cast<double>(c[i * n + j])) / size;
        worst = error <= worst ? worst : error;  // NaN is the worst
      }
  }
  return worst;
}

}  // namespace

TEST(gemm_against_double) {
  const size_t sizes[] = {0, 1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 31, 32, 33, 257};
  for (const InstructionSet* set : targets()) {
    double worst = 0;
    for (const size_t m : sizes)
      for (const size_t n : sizes)
        for (const size_t k : sizes)
          if (m * n * k < 300'000) {
            const double error = worst_error(m, n, k, *set);
            worst = error <= worst ? worst : error;
          }
    // Pieces of few rows, several groups of columns, many panels.
    for (const size_t m : {5u, 100u}) {
      const double error = worst_error(m, 601, 777, *set);
      worst = error <= worst ? worst : error;
    }
    std::printf("  %s: largest error %.2g of the absolute sum\n", set->name, worst);
    CHECK(worst < 2e-6);
  }
}

TEST(gemm_rows_do_not_depend_on_the_batch_and_fused_sums_not_on_the_processor) {
  const size_t m = 131, n = 333, k = 280;  // more than few rows, more than one piece each way
  const std::vector<float> a = normals(m * k, 4), b = normals(n * k, 5);
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  std::vector<float> fused;
  for (const InstructionSet* set : targets())
    for (const bool lines : {false, true}) {
      const MatrixView b_view = lines ? MatrixView{b.data(), n, 1} : MatrixView{b.data(), 1, k};
      pool.resize(1);
      std::vector<float> whole(m * n);
      gemm(m, n, k, {a.data(), k, 1}, b_view, nullptr, whole.data(), *set);
      if (set != &portable_instructions() && !lines) {
        if (fused.empty()) fused = whole;
        CHECK(fused == whole);
      }
      for (const size_t count : {2u, 5u}) {
        pool.resize(count);
        for (const size_t rows : {1u, 2u, 5u, 6u, 7u, 13u, 100u, 131u})
          for (size_t begin = 0; begin < m; begin += 41) {
            const size_t part = std::min<size_t>(rows, m - begin);
            std::vector<float> c(part * n);
            gemm(part, n, k, {a.data() + begin * k, k, 1}, b_view, nullptr, c.data(), *set);
            CHECK(std::equal(c.begin(), c.end(), whole.begin() + static_cast<std::ptrdiff_t>(begin * n)));
          }
      }
    }
  pool.resize(threads);
}

TEST(tanh_against_libm) {
  double worst = 0;
  std::vector<float> x, y;
  for (double v = 1e-8; v < 40; v *= 1.0001) {
    x.push_back(static_cast<float>(v));
    x.push_back(static_cast<float>(-v));
  }
  y = x;
  bounded_tanh(y.data(), y.size(), 2);
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = 2 * std::tanh(static_cast<double>(x[i]));
    worst = std::fmax(worst, std::fabs(static_cast<double>(y[i]) / expected - 1));
    CHECK(std::fabs(y[i]) <= 2.0f);
  }
  std::printf("  largest relative error %.2g\n", worst);
  CHECK(worst < 3e-7);
  float special[5] = {0.0f, INFINITY, -INFINITY, std::nanf(""), 1e30f};
  bounded_tanh(special, 5, 3);
  CHECK(special[0] == 0 && special[1] == 3 && special[2] == -3 && std::isnan(special[3]) && special[4] == 3);
}
