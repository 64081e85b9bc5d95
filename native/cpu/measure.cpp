#include "device/measure.h"

#include <chrono>
#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "cpu/gemm.h"
#include "cpu/scratch.h"
#include "device/buffer.h"

namespace tr0n {
namespace {

/// Amount over seconds, for each run of the body; one run before, to warm up.
template <class Body>
std::vector<double> rates(double amount, size_t runs, CancelToken& cancel, const Body& body) {
  using Clock = std::chrono::steady_clock;
  body();
  std::vector<double> result;
  for (size_t i = 0; i < runs; ++i) {
    cancel.throw_if_cancelled();
    const auto start = Clock::now();
    body();
    result.push_back(amount / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return result;
}

Buffer<float> normals(size_t count, uint32_t stream) {
  Buffer<float> values(cpu_device(), count);
  Philox(1).normal({stream, 0}, 0, Purpose::init, values.data(), count);
  return values;
}

/// Some elements of c = a·bᵀ, spread over it.
void check_product(size_t m, size_t n, size_t k, const float* a, const float* b, const float* c) {
  for (size_t sample = 0; sample < 64; ++sample) {
    const size_t i = sample * 2654435761u % m, j = sample * 40503u % n;
    double sum = 0, size = 1e-3;
    for (size_t l = 0; l < k; ++l) {
      const double product = static_cast<double>(a[i * k + l]) * static_cast<double>(b[j * k + l]);
      sum += product;
      size += std::fabs(product);
    }
    const double got = static_cast<double>(c[i * n + j]);
    if (!(std::fabs(got - sum) <= 1e-5 * size))
      throw Error("ERR_INTERNAL", "product: element [" + std::to_string(i) + ", " + std::to_string(j) +
                                      "]: expected " + std::to_string(sum) + ", got " + std::to_string(got));
  }
}

}  // namespace

std::string instructions() { return instruction_set().name; }

std::vector<double> measure_arithmetic(size_t runs, CancelToken& cancel) {
  constexpr size_t depth = 128, repeats = 20'000;
  const InstructionSet& target = instruction_set();
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  const double operations = 2.0 * static_cast<double>(threads * target.rows * target.columns * depth) *
                            static_cast<double>(repeats);
  return rates(operations, runs, cancel, [&] {
    pool.parallel_for(threads, [&](size_t) {
      thread_local Scratch scratch;
      const size_t size = (target.rows + target.columns) * depth, sums = target.rows * target.columns;
      float* b = scratch.get<float>(size + sums);
      std::memset(b, 0, (size + sums) * sizeof(float));
      float *a = b + target.columns * depth, *c = b + size;
      for (size_t i = 0; i < repeats; ++i)
        target.tile[target.rows - 1](depth, a, b, c, target.columns, false, b, 0);
    });
  });
}

std::vector<double> measure_copy(size_t bytes, size_t runs, CancelToken& cancel) {
  Buffer<char> from(cpu_device(), bytes), to(cpu_device(), bytes);
  std::memset(from.data(), 1, bytes);
  ThreadPool& pool = ThreadPool::instance();
  const size_t parts = pool.size();
  return rates(2.0 * static_cast<double>(bytes), runs, cancel, [&] {
    pool.parallel_for(parts, [&](size_t i) {
      const size_t begin = bytes / parts * i, end = i + 1 == parts ? bytes : bytes / parts * (i + 1);
      std::memcpy(to.data() + begin, from.data() + begin, end - begin);
    });
  });
}

std::vector<double> measure_product(size_t m, size_t n, size_t k, size_t runs, CancelToken& cancel) {
  const Buffer<float> a = normals(m * k, 0), b = normals(n * k, 1);
  Buffer<float> c(cpu_device(), m * n);
  const auto product = [&] { gemm(m, n, k, {a.data(), k, 1}, {b.data(), 1, k}, nullptr, c.data()); };
  product();
  check_product(m, n, k, a.data(), b.data(), c.data());
  return rates(2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k), runs, cancel,
               product);
}

}  // namespace tr0n
