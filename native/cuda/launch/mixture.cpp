#include <cmath>
#include <vector>

#include "base/error.h"
#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {
namespace {

constexpr unsigned kThreads = 128;          // kMixtureThreads
constexpr size_t kStaticShared = 11 << 10;  // at most what the kernels declare
constexpr size_t kMostStaged = 24 << 10;    // bytes of means in shared memory: several blocks still fit
constexpr size_t kMostKept = 48 << 10;      // bytes of stds of each component in shared memory
constexpr size_t kMostBlocks = 1024;        // what mixture_nll's two levels of groups hold

/// Dynamic shared memory of a block.
struct Shared {
  size_t
      bytes;  ///< weights [K]; of stds of each component Σ log σ [K], and, if `keep`, 1/σ and slopes [K, d]
  int keep;
};

Shared shared_of(const Queue& queue, const MixtureView& q) {
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
Launch density_launch(const Queue& queue, const char* kernel, size_t shared, size_t n) {
  const size_t most = 16 * static_cast<size_t>(queue.multiprocessors());
  return {kernel, {block_count(std::min(n, most), 1), 1, 1}, {kThreads, 1, 1}, static_cast<unsigned>(shared)};
}

}  // namespace

void CudaKernels::mixture_nll(const MixtureView& q, const float* z, float scale, float bound, double* nll,
                              float* d_logits, float* d_means, float* d_log_stds, float* rows) const {
  if (q.n == 0) {
    const size_t width = q.component_stds ? q.components * q.latent : q.latent;
    if (d_log_stds != nullptr) queue_.zero(d_log_stds, width * sizeof(float));
    return;
  }
  const Shared shared = shared_of(queue_, q);
  const size_t means = q.components * q.latent * sizeof(float);
  const bool stage = d_means != nullptr && means <= kMostStaged &&
                     shared.bytes + means <= queue_.max_shared_bytes() - kStaticShared;
  const auto rows_per_block = static_cast<unsigned>((q.n + kMostBlocks - 1) / kMostBlocks);
  const Launch shape{q.component_stds ? "mixture_nll_by_component" : "mixture_nll",
                     {block_count(q.n, rows_per_block), 1, 1},
                     {kThreads, 1, 1},
                     static_cast<unsigned>(shared.bytes + (stage ? means : 0))};
  if (q.component_stds)
    queue_.launch(shape, q, rows_per_block, shared.keep, stage ? 1 : 0, z, scale, bound, nll, d_logits,
                  d_means, d_log_stds, rows);
  else
    queue_.launch(shape, q, rows_per_block, stage ? 1 : 0, z, scale, bound, nll, d_logits, d_means,
                  d_log_stds, rows);
}

void CudaKernels::mixture_draw(const MixtureView& q, const uint32_t* rows, const Chain* chains, size_t n,
                               uint32_t step, Purpose choice, Purpose normal, const Philox& rng,
                               float* z) const {
  queue_.launch(rows_launch(queue_, "mixture_draw", n, q.latent), q, rows, chains, n, step,
                static_cast<uint32_t>(choice), static_cast<uint32_t>(normal), rng.key(), z);
}

void CudaKernels::mixture_log_density(const MixtureView& q, const uint32_t* rows, const float* z, size_t n,
                                      double* out) const {
  const Shared shared = shared_of(queue_, q);
  if (q.component_stds)
    queue_.launch(density_launch(queue_, "mixture_log_density_by_component", shared.bytes, n), q, shared.keep,
                  rows, z, n, out);
  else
    queue_.launch(density_launch(queue_, "mixture_log_density", shared.bytes, n), q, rows, z, n, out);
}

void CudaKernels::importance_weights(const MixtureView& q, const Prior& prior, double alpha, double fidelity,
                                     double prior_weight, const uint32_t* rows, size_t n, const float* z,
                                     const float* energies, double* log_weights) const {
  const Shared shared = shared_of(queue_, q);
  const double peak = prior.log_peak(), log_alpha = std::log(alpha), log_rest = std::log1p(-alpha);
  if (q.component_stds)
    queue_.launch(density_launch(queue_, "importance_weights_by_component", shared.bytes, n), q, shared.keep,
                  prior, peak, alpha, log_alpha, log_rest, fidelity, prior_weight, rows, n, z, energies,
                  log_weights);
  else
    queue_.launch(density_launch(queue_, "importance_weights", shared.bytes, n), q, prior, peak, alpha,
                  log_alpha, log_rest, fidelity, prior_weight, rows, n, z, energies, log_weights);
}

}  // namespace tr0n::cuda
