#include "core/evaluate/frechet.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "core/evaluate/symmetric_eigen.h"

namespace tr0n {
namespace {

using Numbers = std::vector<double>;

/// a [m, n] · b [n, p]. Every number is a sum over n in rising order; blocks of b stay in the cache.
Numbers product(const double* a, const double* b, size_t m, size_t n, size_t p, CancelToken& cancel) {
  constexpr size_t block = 32;
  Numbers out(m * p);
  for_ranges(m, 2 * n * p, [&](size_t begin, size_t end) {
    for (size_t from = 0; from < n; from += block) {
      cancel.throw_if_cancelled();
      for (size_t i = begin; i < end; ++i)
        for (size_t k = from; k < std::min(n, from + block); ++k) {
          const double factor = a[i * n + k];
          const double* row = b + k * p;
          double* to = out.data() + i * p;
          for (size_t j = 0; j < p; ++j) to[j] += factor * row[j];
        }
    }
  });
  return out;
}

Numbers transposed(const double* a, size_t rows, size_t columns) {
  Numbers out(rows * columns);
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) out[j * rows + i] = a[i * columns + j];
  return out;
}

/// The symmetric square root; eigenvalues that rounding made negative count as 0.
Numbers square_root(Numbers matrix, size_t n, CancelToken& cancel) {
  const Numbers values = symmetric_eigen(matrix, n, cancel);
  Numbers scaled = transposed(matrix.data(), n, n);  // vectors in columns
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) scaled[i * n + j] *= std::sqrt(std::max(0.0, values[j]));
  return product(scaled.data(), matrix.data(), n, n, n, cancel);
}

/// The matrix whose eigenvalues are Σ_aΣ_b's, by rows. Returns its size.
size_t gram_form(const FeatureStatistics& a, const FeatureStatistics& b, Numbers& matrix,
                 CancelToken& cancel) {
  const size_t n = b.n;
  const Numbers cross = product(b.centred, transposed(a.centred, a.n, a.d).data(), n, a.d, a.n, cancel);
  matrix = product(cross.data(), transposed(cross.data(), n, a.n).data(), n, a.n, n, cancel);
  const double scale = 1 / (static_cast<double>(a.n - 1) * static_cast<double>(n - 1));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < i; ++j) matrix[i * n + j] = matrix[j * n + i];
  for (double& value : matrix) value *= scale;
  return n;
}

double trace_of_root(const FeatureStatistics& a, const FeatureStatistics& b, Numbers& root,
                     CancelToken& cancel) {
  Numbers matrix;
  size_t n;
  if (a.n < b.n && a.n < b.d) {
    n = gram_form(b, a, matrix, cancel);
  } else if (b.n < b.d) {
    n = gram_form(a, b, matrix, cancel);
  } else {
    n = b.d;
    if (root.empty()) root = square_root(feature_covariance(b, cancel), n, cancel);
    const Numbers left = product(root.data(), feature_covariance(a, cancel).data(), n, n, n, cancel);
    matrix = product(left.data(), root.data(), n, n, n, cancel);
  }
  double sum = 0;
  for (const double value : symmetric_eigen(matrix, n, cancel)) sum += std::sqrt(std::max(0.0, value));
  return sum;
}

}  // namespace

template <class T>
size_t feature_statistics(const T* rows, size_t n, size_t d, double* mean, double* centred, double& trace,
                          CancelToken& cancel) {
  std::fill_n(mean, d, 0.0);
  for (size_t i = 0; i < n; ++i) {
    if (i % 1024 == 0) cancel.throw_if_cancelled();
    for (size_t j = 0; j < d; ++j) mean[j] += static_cast<double>(rows[i * d + j]);
  }
  for (size_t j = 0; j < d; ++j) {
    mean[j] /= static_cast<double>(n);
    if (!std::isfinite(mean[j])) return j;
  }
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    if (i % 1024 == 0) cancel.throw_if_cancelled();
    for (size_t j = 0; j < d; ++j) {
      const double value = static_cast<double>(rows[i * d + j]) - mean[j];
      centred[i * d + j] = value;
      sum += value * value;
    }
  }
  trace = sum / static_cast<double>(n - 1);
  return d;
}

std::vector<double> feature_covariance(const FeatureStatistics& set, CancelToken& cancel) {
  const size_t n = set.n, d = set.d;
  Numbers out(d * d);
  for_ranges(d, n * d, [&](size_t begin, size_t end) {
    for (size_t i = 0; i < n; ++i) {
      if (i % 256 == 0) cancel.throw_if_cancelled();
      const double* row = set.centred + i * d;
      for (size_t j = begin; j < end; ++j) {
        const double value = row[j];
        if (value == 0) continue;
        for (size_t k = j; k < d; ++k) out[j * d + k] += value * row[k];
      }
    }
  });
  const auto count = static_cast<double>(n - 1);
  for (size_t j = 0; j < d; ++j)
    for (size_t k = j; k < d; ++k) out[k * d + j] = out[j * d + k] = out[j * d + k] / count;
  return out;
}

double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b, std::vector<double>& root,
                        CancelToken& cancel) {
  double mean = 0;
  for (size_t j = 0; j < a.d; ++j) {
    const double difference = a.mean[j] - b.mean[j];
    mean += difference * difference;
  }
  return std::max(0.0, mean + a.trace + b.trace - 2 * trace_of_root(a, b, root, cancel));
}

template <class T>
double mean_pairwise_distance(const T* rows, size_t n, size_t d, CancelToken& cancel) {
  // Several sums side by side, each in its own order: one alone would wait for every addition.
  constexpr size_t lanes = 4;
  Numbers distances(n);
  double sum = 0;
  for (size_t i = 1; i < n; ++i) {
    cancel.throw_if_cancelled();
    const T* own = rows + i * d;
    for_ranges((i + lanes - 1) / lanes, 2 * lanes * d, [&](size_t begin, size_t end) {
      for (size_t group = begin; group < end; ++group) {
        double squares[lanes] = {};
        const T* others[lanes];
        for (size_t lane = 0; lane < lanes; ++lane)
          others[lane] = rows + std::min(group * lanes + lane, i - 1) * d;
        for (size_t j = 0; j < d; ++j)
          for (size_t lane = 0; lane < lanes; ++lane) {
            const double difference = static_cast<double>(own[j]) - static_cast<double>(others[lane][j]);
            squares[lane] += difference * difference;
          }
        for (size_t lane = 0; lane < lanes && group * lanes + lane < i; ++lane)
          distances[group * lanes + lane] = std::sqrt(squares[lane]);
      }
    });
    for (size_t k = 0; k < i; ++k) sum += distances[k];
  }
  return sum / (static_cast<double>(n) * static_cast<double>(n - 1) / 2);
}

template size_t feature_statistics(const float*, size_t, size_t, double*, double*, double&, CancelToken&);
template size_t feature_statistics(const double*, size_t, size_t, double*, double*, double&, CancelToken&);
template double mean_pairwise_distance(const float*, size_t, size_t, CancelToken&);
template double mean_pairwise_distance(const double*, size_t, size_t, CancelToken&);

}  // namespace tr0n
