#pragma once
#include <cstddef>

namespace tr0n {

/// Adam's scalars of a step as float, in the order of operations of torch.optim.Adam (single tensor), with
/// the divisions by constants turned into multiplications.
struct AdamFactors {
  float scale;  ///< that gradients are multiplied by: clipping
  float keep1, add1, keep2, add2;
  float step_size;    ///< learning rate / (1 − β₁ᵗ)
  float root_factor;  ///< 1 / √(1 − β₂ᵗ)
  float epsilon;
};

/// The innermost loops, compiled once per instruction set from instruction_set_body.h. All that this machine
/// can run give the same sums where they fuse multiply and add; `portable` does not.
struct InstructionSet {
  static constexpr size_t kMaxRows = 12;

  const char* name;      ///< "avx512", "avx2", "neon", "portable"
  size_t rows, columns;  ///< of the largest register tile

  /// Register tiles of 1 to `rows` rows: c [rows, columns] (row stride ldc) = (load ? c : 0) +
  /// Σ_k a[k]·b[k]ᵀ, k upwards in one chain; a packed [depth, rows], b packed [depth, columns] and, like c,
  /// aligned to 64 bytes. Meanwhile each step of k fetches `columns` floats, `fetch_stride` further than the
  /// step before, into a cache: of any address, what is there or not is never read.
  void (*tile[kMaxRows])(size_t depth, const float* a, const float* b, float* c, size_t ldc, bool load,
                         const float* fetch, size_t fetch_stride);

  /// to [depth, width] = from [lines, depth]ᵀ (row stride `stride`), zeros right of `lines`.
  void (*pack_transposed)(const float* from, size_t stride, size_t lines, size_t depth, size_t width,
                          float* to);
  /// from [depth, lines] (row stride `stride`) in panels of `width` columns, [panel][depth][width], a panel
  /// `panel_stride` after the one before; the last one filled up with zeros.
  void (*pack)(const float* from, size_t stride, size_t lines, size_t depth, size_t width,
               size_t panel_stride, float* to);

  /// y = residual + act(sums + bias) for one row; relu keeps NaN. `activated` gets act(…). All but y and sums
  /// may be null.
  void (*finish_forward)(size_t n, const float* sums, const float* bias, bool relu, const float* residual,
                         float* activated, float* y);
  /// dx = add + sums, masked = dx where activated > 0, else 0. add, dx, and activated with masked may be
  /// null.
  void (*finish_input)(size_t n, const float* sums, const float* add, float* dx, const float* activated,
                       float* masked);

  /// Σ x² in double, in an order that depends on n alone.
  double (*square_sum)(const float* x, size_t n);
  /// sums [n] += x [n].
  void (*add_to)(size_t n, const float* x, double* sums);
  void (*adam)(const AdamFactors& factors, size_t n, const float* gradients, float* m, float* v, float* x);
};

const InstructionSet*
avx512_instructions();  ///< null where the processor or its operating system lacks it; so too below
const InstructionSet* avx2_instructions();
const InstructionSet* neon_instructions();
const InstructionSet& portable_instructions();

/// The fastest that this processor runs, or the one that the environment variable TR0N_CPU names; throws for
/// a name that this processor does not run.
const InstructionSet& instruction_set();

}  // namespace tr0n
