#include "cuda/launch/mixture.h"
#include "cuda/kernels.h"

namespace tr0n::cuda {
namespace {

constexpr size_t kMostStaged = 24 << 10;  // bytes of means in shared memory: several blocks still fit
constexpr size_t kMostBlocks = 1024;      // what mixture_nll's two levels of groups hold

class CudaMixtureKernels final : public MixtureKernels {
 public:
  explicit CudaMixtureKernels(const Queue& queue) : queue_(queue) {}

  void nll(const MixtureNll& a) const override {
    if (a.q.n == 0) {
      const size_t width = a.q.component_stds ? a.q.components * a.q.latent : a.q.latent;
      if (a.d_log_stds != nullptr) queue_.zero(a.d_log_stds, width * sizeof(float));
      return;
    }
    const Shared shared = shared_of(queue_, a.q);
    const size_t means = a.q.components * a.q.latent * sizeof(float);
    const bool stage = a.d_means != nullptr && means <= kMostStaged &&
                       shared.bytes + means <= queue_.max_shared_bytes() - kStaticShared;
    const auto rows_per_block = static_cast<unsigned>((a.q.n + kMostBlocks - 1) / kMostBlocks);
    const Launch shape{a.q.component_stds ? "mixture_nll_by_component" : "mixture_nll",
                       {block_count(a.q.n, rows_per_block), 1, 1},
                       {kThreads, 1, 1},
                       static_cast<unsigned>(shared.bytes + (stage ? means : 0))};
    if (a.q.component_stds)
      queue_.launch(shape, a.q, rows_per_block, shared.keep, stage ? 1 : 0, a.z, a.scale, a.bound, a.nll,
                    a.d_logits, a.d_means, a.d_log_stds, a.rows);
    else
      queue_.launch(shape, a.q, rows_per_block, stage ? 1 : 0, a.z, a.scale, a.bound, a.nll, a.d_logits,
                    a.d_means, a.d_log_stds, a.rows);
  }

  void draw(const MixtureDraw& a) const override {
    queue_.launch(rows_launch(queue_, "mixture_draw", a.n, a.q.latent), a.q, a.rows, a.chains, a.n, a.step,
                  static_cast<uint32_t>(a.choice), static_cast<uint32_t>(a.normal), a.rng.key(), a.z);
  }

  void log_density(const MixtureLogDensity& a) const override {
    const Shared shared = shared_of(queue_, a.q);
    if (a.q.component_stds)
      queue_.launch(density_launch(queue_, "mixture_log_density_by_component", shared.bytes, a.n), a.q,
                    shared.keep, a.rows, a.z, a.n, a.out);
    else
      queue_.launch(density_launch(queue_, "mixture_log_density", shared.bytes, a.n), a.q, a.rows, a.z, a.n,
                    a.out);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const MixtureKernels> make_mixture_kernels(const Queue& queue) {
  return std::make_unique<CudaMixtureKernels>(queue);
}

}  // namespace tr0n::cuda
