#include "core/math/covariance.h"

#include <algorithm>

#include "base/error.h"
#include "device/device.h"

namespace tr0n {

std::vector<float> covariance(const float* rows, size_t n, size_t m, CancelToken& cancel) {
  if (n < 2)
    throw Error("ERR_INVALID_ARGUMENT", "covariance: expected at least 2 rows, got " + std::to_string(n));
  constexpr size_t block = 1024;
  std::vector<double> mean(m), sum(m * m);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < m; ++j) mean[j] += static_cast<double>(rows[i * m + j]);
  for (double& value : mean) value /= static_cast<double>(n);
  std::vector<float> centred(std::min(block, n) * m), product(m * m), ignored(m);
  for (size_t begin = 0; begin < n; begin += block) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(block, n - begin);
    for (size_t i = 0; i < count * m; ++i)
      centred[i] = static_cast<float>(static_cast<double>(rows[begin * m + i]) - mean[i % m]);
    // The gradient of a layer's weight is such a product.
    const LinearGradient gram{m, m, centred.data(), centred.data(), product.data(), ignored.data()};
    cpu_device().kernels().linear->backward_weight({{}, count, &gram, 1});
    for (size_t i = 0; i < m * m; ++i) sum[i] += static_cast<double>(product[i]);
  }
  std::transform(sum.begin(), sum.end(), product.begin(),
                 [n](double x) { return static_cast<float>(x / static_cast<double>(n - 1)); });
  return product;
}

}  // namespace tr0n
