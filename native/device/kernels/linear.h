#pragma once
#include <cstddef>
#include <cstdint>

namespace tr0n {

enum class Activation { none, relu, tanh_bound };

/// How products of matrices are computed. tf32: factors rounded to 10 bits of mantissa for tensor cores, sums
/// in float32; a device without them computes in fp32.
enum class Precision { fp32, tf32 };

struct MatrixMode {
  Precision precision = Precision::fp32;
  /// A row's result is the same bits whatever other rows are in the call. Training, whose result depends on
  /// the whole batch anyway, does without: sums may then be split in a way that depends on n.
  bool rows_independent = true;
};

/// A linear layer's forward pass over n rows: y [n, out] = residual + act(x·weightᵀ + bias), overwritten,
/// from x [n, in], weight [out, in], bias [out]. `residual` [n, out] may be null. `activated` [n, out], where
/// given, gets act(…) before the residual is added; it must not be y. tanh_bound is bound·tanh(·).
struct LinearLayer {
  size_t in = 0, out = 0;
  const float *x = nullptr, *weight = nullptr, *bias = nullptr;
  Activation activation = Activation::none;
  float bound = 0;
  const float* residual = nullptr;
  float *activated = nullptr, *y = nullptr;
};

/// A layer that an input's adjoint comes back through: dy [n, out], weight [out, in].
struct LinearAdjoint {
  size_t out = 0;
  const float *dy = nullptr, *weight = nullptr;
};

/// Where the adjoint of a common input [n, in] goes: dx = add + Σ_layers dy·weight, and masked = dx ⊙
/// [activated > 0] (through a relu). `add`, `dx` and `activated` with `masked` may be null; dx may be add.
struct LinearInput {
  size_t in = 0;
  const float* add = nullptr;
  float* dx = nullptr;
  const float* activated = nullptr;
  float* masked = nullptr;
};

/// A layer's gradients, overwritten: dweight [out, in] = dyᵀ·x, dbias [out] = Σ_rows dy.
struct LinearGradient {
  size_t in = 0, out = 0;
  const float *x = nullptr, *dy = nullptr;
  float *dweight = nullptr, *dbias = nullptr;
};

/// Every layer of the group; none reads what another one of it writes. Moves, per layer, n·in + in·out + out
/// + (1 to 3)·n·out.
struct LinearForward {
  MatrixMode mode;
  size_t n = 0;
  const LinearLayer* layers = nullptr;
  size_t count = 0;
};

/// The adjoint of the group's common input. Moves Σ (n·out + out·in) + (1 to 4)·n·in.
struct LinearBackwardInput {
  MatrixMode mode;
  size_t n = 0;
  const LinearAdjoint* layers = nullptr;
  size_t count = 0;
  LinearInput input;
};

/// Gradients of every layer's weight and bias; sums over the rows have a fixed order. Moves, per layer, n·in
/// + n·out + out·in + out.
struct LinearBackwardWeight {
  MatrixMode mode;
  size_t n = 0;
  const LinearGradient* layers = nullptr;
  size_t count = 0;
};

/// Linear layers. A call takes a group of layers over the same n rows: one launch on a GPU.
class LinearKernels {
 public:
  virtual ~LinearKernels() = default;
  virtual void forward(const LinearForward& a) const = 0;
  virtual void backward_input(const LinearBackwardInput& a) const = 0;
  virtual void backward_weight(const LinearBackwardWeight& a) const = 0;
};

}  // namespace tr0n
