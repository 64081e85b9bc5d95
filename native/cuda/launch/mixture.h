#pragma once
#include <algorithm>
#include <string>

#include "base/error.h"
#include "cuda/launch/rows.h"
#include "device/kernels/mixture.h"

/// How kernels that look at mixtures are launched.
namespace tr0n::cuda {

constexpr unsigned kThreads = 128;          // kMixtureThreads
constexpr size_t kStaticShared = 11 << 10;  // at most what the kernels declare
constexpr size_t kMostKept = 48 << 10;      // bytes of stds of each component in shared memory

/// Dynamic shared memory of a block.
struct Shared {
  size_t
      bytes;  ///< weights [K]; of stds of each component Σ log σ [K], and, if `keep`, 1/σ and slopes [K, d]
  int keep;
};

inline Shared shared_of(const Queue& queue, const MixtureView& q) {
  const size_t each = (q.component_stds ? 2 : 1) * sizeof(double);
  const size_t room = queue.max_shared_bytes() - kStaticShared, most = room / each;
  if (q.components > most)
    throw Error("ERR_INVALID_ARGUMENT", "components: expected at most " + std::to_string(most) +
                                            " on this device, got " + std::to_string(q.components));
  const size_t bytes = q.components * each;
  const size_t terms = q.components * q.latent * (sizeof(double) + sizeof(float));
  if (!q.component_stds || terms > kMostKept || bytes + terms > room) return {bytes, 0};
  return {bytes + terms, 1};
}

/// Blocks that go from row to row: enough to fill the device.
inline Launch density_launch(const Queue& queue, const char* kernel, size_t shared, size_t n) {
  const size_t most = 16 * static_cast<size_t>(queue.multiprocessors());
  return {kernel, {block_count(std::min(n, most), 1), 1, 1}, {kThreads, 1, 1}, static_cast<unsigned>(shared)};
}

}  // namespace tr0n::cuda
