#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tr0n {
namespace {

using Kind = StandardCoordinate::Kind;

/// Of a row, for the thread pool.
size_t cost(const StandardView& standard) {
  return standard.d * (standard.identity ? 1 : standard.affine ? 4 : 60);
}

class CpuStandardKernels final : public StandardKernels {
 public:
  void from_standard(const FromStandard& a) const override {
    const size_t d = a.standard.d;
    for_ranges(a.n, cost(a.standard), [&](size_t begin, size_t end) {
      if (a.standard.identity) {
        std::copy(a.u + begin * d, a.u + end * d, a.z + begin * d);
        return;
      }
      for (size_t i = begin; i < end; ++i)
        for (size_t j = 0; j < d; ++j)
          a.z[i * d + j] = static_cast<float>(a.standard.of(j).latent(static_cast<double>(a.u[i * d + j])));
    });
  }

  void to_standard(const ToStandard& a) const override {
    const size_t d = a.standard.d;
    for_ranges(a.n, cost(a.standard), [&](size_t begin, size_t end) {
      if (a.standard.identity) {
        std::copy(a.z + begin * d, a.z + end * d, a.u + begin * d);
        return;
      }
      for (size_t i = begin; i < end; ++i)
        for (size_t j = 0; j < d; ++j)
          a.u[i * d + j] = static_cast<float>(a.standard.of(j).standard(static_cast<double>(a.z[i * d + j])));
    });
    if (!a.standard.identity) from_standard({a.standard, a.n, a.u, a.z});
  }

  void pull_back(const PullBack& a) const override {
    const size_t d = a.standard.d;
    const double excess = a.prior_weight - 1;  // of the prior's weight over that of its change of variables
    for_ranges(a.n, d * 4 + cost(a.standard), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const float *row = a.u + i * d, *latent = a.z + i * d;
        float* gradient = a.gradients + i * d;
        const auto slope = [&](size_t j) {
          return a.fidelity *
                 a.standard.of(j).slope(static_cast<double>(row[j]), static_cast<double>(latent[j]));
        };
        double square = 0;
        for (size_t j = 0; a.max_drift > 0 && j < d; ++j) {
          const double g = slope(j) * static_cast<double>(gradient[j]);
          square += g * g;
        }
        const double norm = std::sqrt(square);
        const double scale = norm > a.max_drift ? a.max_drift / norm : 1;
        double correction = 0;
        for (size_t j = 0; j < d; ++j) {
          double g = scale * slope(j) * static_cast<double>(gradient[j]);
          const StandardCoordinate& c = a.standard.of(j);
          if (excess != 0 && c.kind != Kind::normal) {
            const double here = static_cast<double>(row[j]);
            const double x =
                c.kind == Kind::uniform ? 0 : (static_cast<double>(latent[j]) - c.centre) / c.scale;
            correction += 0.5 * (x * x - here * here);
            g += excess * (x / c.scale * c.slope(here, static_cast<double>(latent[j])) - here);
          }
          gradient[j] = static_cast<float>(g);
        }
        a.target_energies[i] =
            static_cast<float>(a.fidelity * static_cast<double>(a.energies[i]) + excess * correction);
      }
    });
  }
};

}  // namespace

std::unique_ptr<const StandardKernels> make_standard_kernels() {
  return std::make_unique<CpuStandardKernels>();
}

}  // namespace tr0n
