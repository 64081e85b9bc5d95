#include <cmath>
#include <vector>

#include "core/error.h"
#include "cuda/kernels.h"
#include "cuda/rows.h"

namespace tr0n::cuda {
namespace {

constexpr unsigned kThreads = 128;          // kMixtureThreads
constexpr size_t kStaticShared = 11 << 10;  // at most what the kernels declare
constexpr size_t kMostStaged = 24 << 10;    // bytes of means in shared memory: several blocks still fit
constexpr size_t kMostBlocks = 1024;        // what mixture_nll's two levels of groups hold

/// Bytes for the K log-weights of a row.
size_t weights_bytes(const Queue& queue, size_t components) {
  const size_t most = (queue.max_shared_bytes() - kStaticShared) / sizeof(double);
  if (components > most)
    throw Error("ERR_INVALID_ARGUMENT", "components: expected at most " + std::to_string(most) +
                                            " on this device, got " + std::to_string(components));
  return components * sizeof(double);
}

/// Blocks that go from row to row: enough to fill the device.
Launch density_launch(const Queue& queue, const char* kernel, const MixtureView& q, size_t n) {
  const size_t most = 16 * static_cast<size_t>(queue.multiprocessors());
  return {kernel,
          {block_count(std::min(n, most), 1), 1, 1},
          {kThreads, 1, 1},
          static_cast<unsigned>(weights_bytes(queue, q.components))};
}

}  // namespace

void CudaKernels::mixture_nll(const MixtureView& q, const float* z, float scale, float bound, double* nll,
                              float* d_logits, float* d_means, float* d_log_stds, float* rows) const {
  if (q.n == 0) {
    if (d_log_stds != nullptr) queue_.zero(d_log_stds, q.latent * sizeof(float));
    return;
  }
  const size_t means = q.components * q.latent * sizeof(float);
  const bool stage = d_means != nullptr && means <= kMostStaged;
  const size_t shared = weights_bytes(queue_, q.components) + (stage ? means : 0);
  const size_t rows_per_block = (q.n + kMostBlocks - 1) / kMostBlocks;
  queue_.launch({"mixture_nll",
                 {block_count(q.n, rows_per_block), 1, 1},
                 {kThreads, 1, 1},
                 static_cast<unsigned>(shared)},
                q, static_cast<unsigned>(rows_per_block), stage ? 1 : 0, z, scale, bound, nll, d_logits,
                d_means, d_log_stds, rows);
}

void CudaKernels::mixture_draw(const MixtureView& q, const uint32_t* rows, const Chain* chains, size_t n,
                               uint32_t step, Purpose choice, Purpose normal, const Philox& rng,
                               float* z) const {
  queue_.launch(rows_launch(queue_, "mixture_draw", n, q.latent), q, rows, chains, n, step,
                static_cast<uint32_t>(choice), static_cast<uint32_t>(normal), rng.key(), z);
}

void CudaKernels::mixture_log_density(const MixtureView& q, const uint32_t* rows, const float* z, size_t n,
                                      double* out) const {
  queue_.launch(density_launch(queue_, "mixture_log_density", q, n), q, rows, z, n, out);
}

void CudaKernels::importance_weights(const MixtureView& q, const Prior& prior, double alpha, double fidelity,
                                     double prior_weight, const uint32_t* rows, size_t n, const float* z,
                                     const float* energies, double* log_weights) const {
  queue_.launch(density_launch(queue_, "importance_weights", q, n), q, prior, prior.log_peak(), alpha,
                std::log(alpha), std::log1p(-alpha), fidelity, prior_weight, rows, n, z, energies,
                log_weights);
}

}  // namespace tr0n::cuda
