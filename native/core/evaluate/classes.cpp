#include "core/evaluate/classes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/parallel.h"

namespace tr0n {
namespace {

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

double uniform_at(uint64_t seed, uint64_t index) {
  return static_cast<double>(mix(mix(seed) + (index + 1) * 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}

void to_probabilities(const float* scores, size_t classes, Scores kind, double* p) {
  double sum = 0;
  if (kind == Scores::logits) {
    double top = -std::numeric_limits<double>::infinity();
    for (size_t j = 0; j < classes; ++j) top = std::max(top, static_cast<double>(scores[j]));
    for (size_t j = 0; j < classes; ++j) sum += p[j] = std::exp(static_cast<double>(scores[j]) - top);
  } else {
    for (size_t j = 0; j < classes; ++j) sum += p[j] = std::max(static_cast<double>(scores[j]), 0.0);
    if (!(sum > 0)) sum = 1;
  }
  for (size_t j = 0; j < classes; ++j) p[j] /= sum;
}

/// The class at which the cumulated probabilities pass u; `rest` where rounding left them below.
uint32_t class_at(const double* p, size_t classes, double u, uint32_t rest) {
  for (size_t j = 0; j < classes; ++j) {
    u -= p[j];
    if (u < 0) return static_cast<uint32_t>(j);
  }
  return rest;
}

}  // namespace

void draw_classes(const float* scores, size_t n, size_t classes, Scores kind, uint64_t seed, uint64_t first,
                  uint32_t* drawn, uint32_t* likeliest, CancelToken& cancel) {
  const size_t block = std::max<size_t>(1, (size_t{1} << 18) / classes);
  for (size_t at = 0; at < n; at += block) {
    cancel.throw_if_cancelled();
    for_ranges(std::min(block, n - at), 20 * classes, [&](size_t begin, size_t end) {
      std::vector<double> p(classes);
      for (size_t i = at + begin; i < at + end; ++i) {
        to_probabilities(scores + i * classes, classes, kind, p.data());
        const auto top = static_cast<uint32_t>(std::max_element(p.begin(), p.end()) - p.begin());
        likeliest[i] = top;
        if (drawn != nullptr) drawn[i] = class_at(p.data(), classes, uniform_at(seed, first + i), top);
      }
    });
  }
}

}  // namespace tr0n
