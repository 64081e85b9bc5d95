// Log-densities of mixtures, a block for each row (mixture.cuh), blocks going on to further rows:
//   mixture_log_density: out_i = log q_row(i)(z_i); rows [n] may be null: row i
//   importance_weights:  ℓ_i = prior_weight·log p(z_i) − fidelity·E_i − log q'(z_i), q' = (1−α)·q + α·p;
//                        −infinity where E_i is not finite or z_i lies outside the prior's support
// logits [·, K], means [·, K, d], log_stds [d], or [K, d] in …_by_component, z [n, d]; results in double, by
// which candidates are chosen. Moves n·(K·d + K + d) floats; rows of one mixture that follow one another find
// it in the cache.
#include <type_traits>

#include "kernels/mixture.cuh"
#include "kernels/prior.cuh"

namespace tr0n::cuda {
namespace {

// Weights [K]; of stds of each component what ComponentStds keeps.
extern __shared__ double dynamic_shared[];

constexpr long long kInfinityBits = 0x7FF0000000000000;

/// log p(z) from what its elements sum to over the block; `at_mode` is log p where its energy is 0.
__device__ double prior_log_density(const Prior& prior, double at_mode, const float* z) {
  PriorSums sums;
  for (size_t j = threadIdx.x; j < prior.dim; j += kMixtureThreads) sums.add(prior, j, z[j]);
  double totals[2] = {sums.square, sums.outside};
  row_sums(totals);
  return totals[1] == 0 ? at_mode - prior_energy(prior, totals[0]) : -__longlong_as_double(kInfinityBits);
}

/// log(e^x + e^y)
__device__ double log_add(double x, double y) {
  const double largest = fmax(x, y);
  return isfinite(largest) ? largest + log(exp(x - largest) + exp(y - largest)) : largest;
}

__device__ void begin(SharedStds& stds, const MixtureView& q) {
  stds.begin(q.log_stds, static_cast<unsigned>(q.latent));
}
__device__ void begin(ComponentStds& stds, const MixtureView&) { stds.begin(); }

template <class Stds>
__device__ Stds stds_of(MixtureBlock<Stds>& block, const MixtureView& q, bool keep) {
  if constexpr (std::is_same_v<Stds, SharedStds>)
    return SharedStds(block.stds);
  else
    return ComponentStds(dynamic_shared + q.components, keep, q);
}

template <class Stds>
__device__ void log_densities(const MixtureView& q, bool keep, const uint32_t* __restrict__ rows,
                              const float* __restrict__ z, size_t n, double* __restrict__ out) {
  __shared__ MixtureBlock<Stds> block;
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  Stds stds = stds_of<Stds>(block, q, keep);
  begin(stds, q);
  for (size_t i = blockIdx.x; i < n; i += gridDim.x) {
    const size_t row = rows == nullptr ? i : rows[i];
    const double density =
        log_density(block, stds, q.log_stds, q.logits + row * components, q.means + row * components * d,
                    z + i * d, components, d, dynamic_shared, nullptr);
    if (threadIdx.x == 0) out[i] = density;
  }
}

/// Of importance_weights; log_alpha = log α, log_rest = log(1 − α).
struct Proposal {
  double alpha, log_alpha, log_rest;
};

template <class Stds>
__device__ void weights_of(const MixtureView& q, bool keep, const Prior& prior, double prior_at_mode,
                           const Proposal& proposal, double fidelity, double prior_weight,
                           const uint32_t* __restrict__ rows, size_t n, const float* __restrict__ z,
                           const float* __restrict__ energies, double* __restrict__ log_weights) {
  __shared__ MixtureBlock<Stds> block;
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  Stds stds = stds_of<Stds>(block, q, keep);
  const double infinity = __longlong_as_double(kInfinityBits);
  if (proposal.alpha < 1) begin(stds, q);
  for (size_t i = blockIdx.x; i < n; i += gridDim.x) {
    const float* latent = z + i * d;
    const double energy = static_cast<double>(energies[i]);
    const double log_prior = prior_log_density(prior, prior_at_mode, latent);
    double weight = -infinity;
    if (isfinite(energy) && log_prior != -infinity) {  // alike in every thread
      double log_proposal = log_prior;
      if (proposal.alpha < 1) {
        const size_t row = rows[i];
        const double log_q =
            log_density(block, stds, q.log_stds, q.logits + row * components, q.means + row * components * d,
                        latent, components, d, dynamic_shared, nullptr);
        log_proposal =
            proposal.alpha <= 0 ? log_q : log_add(proposal.log_alpha + log_prior, proposal.log_rest + log_q);
      }
      weight = prior_weight * log_prior - fidelity * energy - log_proposal;
      if (!isfinite(weight)) weight = -infinity;
    }
    if (threadIdx.x == 0) log_weights[i] = weight;
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kMixtureThreads, 8)
    mixture_log_density(MixtureView q, const uint32_t* __restrict__ rows, const float* __restrict__ z,
                        size_t n, double* __restrict__ out) {
  log_densities<SharedStds>(q, false, rows, z, n, out);
}

extern "C" __global__ void __launch_bounds__(kMixtureThreads, 8)
    importance_weights(MixtureView q, Prior prior, double prior_at_mode, double alpha, double log_alpha,
                       double log_rest, double fidelity, double prior_weight,
                       const uint32_t* __restrict__ rows, size_t n, const float* __restrict__ z,
                       const float* __restrict__ energies, double* __restrict__ log_weights) {
  weights_of<SharedStds>(q, false, prior, prior_at_mode, {alpha, log_alpha, log_rest}, fidelity, prior_weight,
                         rows, n, z, energies, log_weights);
}

// With stds of each component, which are kept in shared memory where `keep` is not 0.

extern "C" __global__ void __launch_bounds__(kMixtureThreads, 8)
    mixture_log_density_by_component(MixtureView q, int keep, const uint32_t* __restrict__ rows,
                                     const float* __restrict__ z, size_t n, double* __restrict__ out) {
  log_densities<ComponentStds>(q, keep != 0, rows, z, n, out);
}

extern "C" __global__ void __launch_bounds__(kMixtureThreads, 8)
    importance_weights_by_component(MixtureView q, int keep, Prior prior, double prior_at_mode, double alpha,
                                    double log_alpha, double log_rest, double fidelity, double prior_weight,
                                    const uint32_t* __restrict__ rows, size_t n, const float* __restrict__ z,
                                    const float* __restrict__ energies, double* __restrict__ log_weights) {
  weights_of<ComponentStds>(q, keep != 0, prior, prior_at_mode, {alpha, log_alpha, log_rest}, fidelity,
                            prior_weight, rows, n, z, energies, log_weights);
}

}  // namespace tr0n::cuda
