#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/std_table.h"

namespace tr0n {

void CpuKernels::mixture_draw(const MixtureView& q, const uint32_t* rows, const Chain* chains, size_t n,
                              uint32_t step, Purpose choice, Purpose normal, const Philox& rng,
                              float* z) const {
  const size_t d = q.latent;
  for_ranges(n, 20 * (q.components + d), [&](size_t begin, size_t end) {
    thread_local Scratch scratch;
    const StdValues values(q, scratch);
    for (size_t i = begin; i < end; ++i) {
      const size_t row = rows == nullptr ? i : rows[i];
      const size_t k =
          choose_component(q.logits + row * q.components, q.components, rng.uniform(chains[i], step, choice));
      const float* mean = q.means + (row * q.components + k) * d;
      float* out = z + i * d;
      rng.normal(chains[i], step, normal, out, d);
      const float* stds = values.of(k);
      for (size_t j = 0; j < d; ++j) out[j] = mean[j] + stds[j] * out[j];
    }
  });
}

void CpuKernels::mixture_log_density(const MixtureView& q, const uint32_t* rows, const float* z, size_t n,
                                     double* out) const {
  const size_t components = q.components, d = q.latent;
  for_ranges(n, components * (d + 20), [&](size_t begin, size_t end) {
    thread_local Scratch table_memory, row_memory;
    const StdTable stds(q, table_memory);
    double* weights = row_memory.get<double>(components);
    for (size_t i = begin; i < end; ++i) {
      const size_t row = rows == nullptr ? i : rows[i];
      out[i] = log_density(q.logits + row * components, q.means + row * components * d, stds.view, components,
                           d, z + i * d, weights);
    }
  });
}

}  // namespace tr0n
