#include "core/evaluate/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"

namespace tr0n {
namespace {

double hypotenuse(double a, double b) {
  if (std::fabs(a) > std::fabs(b)) {
    const double r = b / a;
    return std::fabs(a) * std::sqrt(1 + r * r);
  }
  if (b == 0) return 0;
  const double r = a / b;
  return std::fabs(b) * std::sqrt(1 + r * r);
}

/// v is stored transposed: v(j, i) is the method's V(i, j), so that its inner loops run along rows.
class Matrix {
 public:
  Matrix(double* data, size_t n) : data_(data), n_(n) {}
  double& operator()(size_t i, size_t j) const { return data_[i * n_ + j]; }
  double* row(size_t i) const { return data_ + i * n_; }

 private:
  double* data_;
  size_t n_;
};

/// Subtracts f·e + g·d from row j, columns j … i − 1, for all j < i.
void update_rows(const Matrix& v, const std::vector<double>& d, const std::vector<double>& e, size_t i) {
  for_ranges(i, i, [&](size_t begin, size_t end) {
    for (size_t j = begin; j < end; ++j) {
      const double f = d[j], g = e[j];
      double* row = v.row(j);
      for (size_t k = j; k < i; ++k) row[k] -= f * e[k] + g * d[k];
    }
  });
}

/// One Householder step, of column i.
void reduce(const Matrix& v, std::vector<double>& d, std::vector<double>& e, size_t i) {
  double scale = 0, h = 0;
  for (size_t k = 0; k < i; ++k) scale += std::fabs(d[k]);
  if (scale == 0) {
    e[i] = d[i - 1];
    for (size_t j = 0; j < i; ++j) {
      d[j] = v(j, i - 1);
      v(j, i) = 0;
      v(i, j) = 0;
    }
    d[i] = h;
    return;
  }
  for (size_t k = 0; k < i; ++k) {
    d[k] /= scale;
    h += d[k] * d[k];
  }
  double f = d[i - 1], g = std::sqrt(h);
  if (f > 0) g = -g;
  e[i] = scale * g;
  h -= f * g;
  d[i - 1] = f - g;
  std::fill_n(e.begin(), i, 0.0);
  for (size_t j = 0; j < i; ++j) {
    f = d[j];
    v(i, j) = f;
    const double* row = v.row(j);
    g = e[j] + row[j] * f;
    for (size_t k = j + 1; k < i; ++k) {
      g += row[k] * d[k];
      e[k] += row[k] * f;
    }
    e[j] = g;
  }
  f = 0;
  for (size_t j = 0; j < i; ++j) {
    e[j] /= h;
    f += e[j] * d[j];
  }
  const double hh = f / (h + h);
  for (size_t j = 0; j < i; ++j) e[j] -= hh * d[j];
  update_rows(v, d, e, i);
  for (size_t j = 0; j < i; ++j) {
    d[j] = v(j, i - 1);
    v(j, i) = 0;
  }
  d[i] = h;
}

/// The product of the reflections, of the first i + 1 rows.
void accumulate(const Matrix& v, std::vector<double>& d, size_t i, size_t n) {
  v(i, n - 1) = v(i, i);
  v(i, i) = 1;
  const double h = d[i + 1];
  const double* next = v.row(i + 1);
  if (h != 0) {
    for (size_t k = 0; k <= i; ++k) d[k] = next[k] / h;
    for_ranges(i + 1, 2 * (i + 1), [&](size_t begin, size_t end) {
      for (size_t j = begin; j < end; ++j) {
        double* row = v.row(j);
        double g = 0;
        for (size_t k = 0; k <= i; ++k) g += next[k] * row[k];
        for (size_t k = 0; k <= i; ++k) row[k] -= g * d[k];
      }
    });
  }
  std::fill_n(v.row(i + 1), i + 1, 0.0);
}

void tridiagonalise(const Matrix& v, std::vector<double>& d, std::vector<double>& e, CancelToken& cancel) {
  const size_t n = d.size();
  for (size_t j = 0; j < n; ++j) d[j] = v(j, n - 1);
  for (size_t i = n - 1; i > 0; --i) {
    cancel.throw_if_cancelled();
    reduce(v, d, e, i);
  }
  for (size_t i = 0; i + 1 < n; ++i) {
    cancel.throw_if_cancelled();
    accumulate(v, d, i, n);
  }
  for (size_t j = 0; j < n; ++j) {
    d[j] = v(j, n - 1);
    v(j, n - 1) = 0;
  }
  v(n - 1, n - 1) = 1;
  e[0] = 0;
}

/// The rotations of one QL sweep, from m − 1 down to l, of all columns: each column sees them in their order.
struct Rotation {
  double c, s;
};
void rotate(const Matrix& v, const std::vector<Rotation>& rotations, size_t m, size_t n) {
  for_ranges(n, 4 * rotations.size(), [&](size_t begin, size_t end) {
    for (size_t step = 0; step < rotations.size(); ++step) {
      const size_t i = m - 1 - step;
      const auto [c, s] = rotations[step];
      double *lower = v.row(i), *upper = v.row(i + 1);
      for (size_t k = begin; k < end; ++k) {
        const double h = upper[k];
        upper[k] = s * lower[k] + c * h;
        lower[k] = c * lower[k] - s * h;
      }
    }
  });
}

void diagonalise(const Matrix& v, std::vector<double>& d, std::vector<double>& e, CancelToken& cancel) {
  const size_t n = d.size();
  std::rotate(e.begin(), e.begin() + 1, e.end());
  e[n - 1] = 0;
  std::vector<Rotation> rotations;
  constexpr double eps = std::numeric_limits<double>::epsilon();
  double f = 0, largest = 0;
  for (size_t l = 0; l < n; ++l) {
    largest = std::max(largest, std::fabs(d[l]) + std::fabs(e[l]));
    size_t m = l;
    while (m + 1 < n && !(std::fabs(e[m]) <= eps * largest)) ++m;  // e's last is 0
    if (m > l) do {
        cancel.throw_if_cancelled();
        double g = d[l], p = (d[l + 1] - g) / (2 * e[l]), r = hypotenuse(p, 1);
        if (p < 0) r = -r;
        d[l] = e[l] / (p + r);
        d[l + 1] = e[l] * (p + r);
        const double next = d[l + 1];
        double h = g - d[l];
        for (size_t i = l + 2; i < n; ++i) d[i] -= h;
        f += h;
        p = d[m];
        double c = 1, c2 = c, c3 = c, s = 0, s2 = 0;
        const double after = e[l + 1];
        rotations.clear();
        for (size_t i = m; i-- > l;) {
          c3 = c2;
          c2 = c;
          s2 = s;
          g = c * e[i];
          h = c * p;
          r = hypotenuse(p, e[i]);
          e[i + 1] = s * r;
          s = e[i] / r;
          c = p / r;
          p = c * d[i] - s * g;
          d[i + 1] = h + s * (c * g + s * d[i]);
          rotations.push_back({c, s});
        }
        rotate(v, rotations, m, n);
        p = (-s * s2 * c3 * after * e[l]) / next;
        e[l] = s * p;
        d[l] = c * p;
      } while (std::fabs(e[l]) > eps * largest);
    d[l] += f;
    e[l] = 0;
  }
}

void sort(const Matrix& v, std::vector<double>& d) {
  const size_t n = d.size();
  for (size_t i = 0; i + 1 < n; ++i) {
    size_t k = i;
    double p = d[i];
    for (size_t j = i + 1; j < n; ++j)
      if (d[j] < p) {
        k = j;
        p = d[j];
      }
    if (k == i) continue;
    d[k] = d[i];
    d[i] = p;
    std::swap_ranges(v.row(i), v.row(i) + n, v.row(k));
  }
}

}  // namespace

std::vector<double> symmetric_eigen(std::vector<double>& matrix, size_t n, CancelToken& cancel) {
  if (n == 0) return {};
  const Matrix v(matrix.data(), n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < i; ++j) std::swap(v(i, j), v(j, i));
  std::vector<double> d(n), e(n);
  tridiagonalise(v, d, e, cancel);
  diagonalise(v, d, e, cancel);
  sort(v, d);
  return d;
}

}  // namespace tr0n
