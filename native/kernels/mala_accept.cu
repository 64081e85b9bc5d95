// Metropolis acceptance of Langevin proposals, n chains [n, d]:
//   a = min(1, exp(U(z) − U(z') + [‖z' − z + hD(z)‖² − ‖z − z' + hD(z')‖²]/4h)), accepted where u < a
// u by Purpose::accept; NaN or +infinity rejects. Where accepted, z', D(z'), U(z') and the objective's energy
// replace the current ones; where adapt > 0, log h += adapt·(a − target_accept − ⅓·log(−log a / 4)), see
// device/kernels/mala.h. All that decides is in
// double, as on the CPU: the difference of the two norms is small against them. Moves 4·n·d floats, 6·n·d
// where accepted. A chain of more than four elements a thread is read twice.
#include "device/kernels/mala.h"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

namespace tr0n::cuda {
namespace {

/// Adds one element's share of the two norms.
__device__ void add(double (&norms)[2], double h, float here, float there, float drift_here,
                    float drift_there) {
  const double move = static_cast<double>(there) - static_cast<double>(here);
  const double f = move + h * static_cast<double>(drift_here);
  const double b = h * static_cast<double>(drift_there) - move;
  norms[0] += f * f;
  norms[1] += b * b;
}

/// ⅓·log of how many times below e⁻⁴ the accept probability's logarithm is.
__device__ double far_off(double log_ratio) {
  if (!(log_ratio < -4) || isinf(log_ratio)) return 0;
  return log(fmin(-0.25 * log_ratio, 1e6)) / 3;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(512)
    mala_accept(size_t n, size_t d, const Chain* __restrict__ chains, uint32_t step, uint2 key, double adapt,
                double target_accept, const float* __restrict__ proposal,
                const float* __restrict__ proposal_drift, const float* __restrict__ proposal_energies,
                const double* __restrict__ proposal_targets, MalaState* states, float* __restrict__ z,
                float* __restrict__ drift, float* __restrict__ energies) {
  const size_t row = row_of_block(), start = 4 * threadIdx.x;
  const bool active = row < n, vector = vectors_fit(d, proposal, proposal_drift, z, drift);
  const float *there = proposal + row * d, *drift_there = proposal_drift + row * d;
  float *here = z + row * d, *drift_here = drift + row * d;
  MalaState state{};
  double h = 1, norms[2] = {0, 0};
  float4 kept = make_float4(0, 0, 0, 0), kept_drift = kept;
  if (active) {
    state = states[row];
    h = exp(state.log_step);
    for (size_t at = start; at < d; at += 4 * blockDim.x) {
      const float4 a = load4(here, at, d, vector), b = load4(there, at, d, vector),
                   da = load4(drift_here, at, d, vector), db = load4(drift_there, at, d, vector);
      if (at == start) kept = b, kept_drift = db;
      add(norms, h, a.x, b.x, da.x, db.x);
      add(norms, h, a.y, b.y, da.y, db.y);
      add(norms, h, a.z, b.z, da.z, db.z);
      add(norms, h, a.w, b.w, da.w, db.w);
    }
  }
  row_sums(norms);
  if (!active) return;
  const double target = proposal_targets[row];
  const double log_ratio = state.energy - target + (norms[0] - norms[1]) / (4 * h);
  const double accept = log_ratio >= 0 ? 1 : isnan(log_ratio) ? 0 : exp(log_ratio);
  const bool accepted = uniform(Draw(key, chains[row], step, Purpose::accept)) < accept;
  if (accepted)
    for (size_t at = start; at < d; at += 4 * blockDim.x) {
      store4(here, at, d, vector, at == start ? kept : load4(there, at, d, vector));
      store4(drift_here, at, d, vector, at == start ? kept_drift : load4(drift_there, at, d, vector));
    }
  __syncwarp();  // every lane has its copy of the state
  if (threadIdx.x != 0) return;
  if (accepted) {
    energies[row] = proposal_energies[row];
    state.energy = target;
  }
  state.acceptance += accept;
  if (adapt > 0) state.log_step += adapt * (accept - target_accept - far_off(log_ratio));
  states[row] = state;
}

}  // namespace tr0n::cuda
