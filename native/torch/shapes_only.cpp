#include "torch/shapes_only.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <vector>

namespace tr0n::torchscript {
namespace {

using torch::jit::Stack;

/// A place among the dispatcher's keys that nothing else of libtorch's uses.
constexpr c10::DispatchKey kKey = c10::DispatchKey::TESTING_ONLY_GenericMode;

void check_types(const c10::OperatorHandle& op, const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(a.scalar_type() == b.scalar_type(), op.schema().name(), ": expected operands of one type, got ",
              a.scalar_type(), " and ", b.scalar_type());
}

[[noreturn]] void misfit(const c10::OperatorHandle& op, const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(false, op.schema().name(), ": operands of ", a.sizes(), " and ", b.sizes(), " do not fit");
}

/// [.., n, k] · [.., k, m] of as many axes.
at::Tensor product(const c10::OperatorHandle& op, const at::Tensor& a, const at::Tensor& b, int64_t rank) {
  check_types(op, a, b);
  if (a.dim() != rank || b.dim() != rank || a.size(-1) != b.size(-2) || (rank == 3 && a.size(0) != b.size(0)))
    misfit(op, a, b);
  std::vector<int64_t> shape = a.sizes().vec();
  shape.back() = b.size(-1);
  return at::empty(shape, a.options());
}

/// Replaces the arguments on the stack by the result.
void give(Stack* stack, size_t arguments, at::Tensor result) {
  torch::jit::drop(*stack, arguments);
  torch::jit::push(*stack, std::move(result));
}

/// mm, bmm: (a, b); addmm, baddbmm: (what is added, a, b, …).
template <int64_t kRank, size_t kFirst>
void multiply(const c10::OperatorHandle& op, Stack* stack) {
  const size_t count = op.schema().arguments().size();
  const auto argument = [&](size_t i) { return torch::jit::peek(*stack, i, count).toTensor(); };
  at::Tensor result = product(op, argument(kFirst), argument(kFirst + 1), kRank);
  if (kFirst > 0) at::infer_size(argument(0).sizes(), result.sizes());  // throws where it cannot be added
  give(stack, count, std::move(result));
}

int64_t entry(const std::vector<int64_t>& values, size_t axis) {
  return values.size() == 1 ? values[0] : values.at(axis);
}

/// (input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, …)
void convolve(const c10::OperatorHandle& op, Stack* stack) {
  const size_t count = op.schema().arguments().size();
  const auto argument = [&](size_t i) -> const c10::IValue& { return torch::jit::peek(*stack, i, count); };
  const at::Tensor input = argument(0).toTensor(), weight = argument(1).toTensor();
  const std::vector<int64_t> stride = argument(3).toIntVector(), padding = argument(4).toIntVector(),
                             dilation = argument(5).toIntVector(), extra = argument(7).toIntVector();
  const bool transposed = argument(6).toBool();
  const int64_t groups = argument(8).toInt();
  check_types(op, input, weight);
  // Operands without a batch have one axis less; convolutions of them are rare, and small.
  if (input.dim() != weight.dim() || input.dim() < 3 || groups < 1 ||
      input.size(1) != (transposed ? weight.size(0) : weight.size(1) * groups))
    misfit(op, input, weight);
  std::vector<int64_t> shape{input.size(0), transposed ? weight.size(1) * groups : weight.size(0)};
  for (int64_t axis = 2; axis < input.dim(); ++axis) {
    const size_t k = static_cast<size_t>(axis - 2);
    const int64_t reach = entry(dilation, k) * (weight.size(axis) - 1) + 1;
    const int64_t room = 2 * entry(padding, k);
    const int64_t step = entry(stride, k);
    TORCH_CHECK(step > 0, op.schema().name(), ": expected a stride above 0");
    const int64_t size = transposed ? (input.size(axis) - 1) * step - room + reach + entry(extra, k)
                                    : (input.size(axis) + room - reach) / step + 1;
    if (size < 1 || (!transposed && input.size(axis) + room < reach)) misfit(op, input, weight);
    shape.push_back(size);
  }
  give(stack, count, at::empty(shape, input.options()));
}

}  // namespace

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, m) { m.fallback(torch::CppFunction::makeFallthrough()); }

TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericMode, m) {
  m.impl("mm", torch::CppFunction::makeFromBoxedFunction<&multiply<2, 0>>());
  m.impl("bmm", torch::CppFunction::makeFromBoxedFunction<&multiply<3, 0>>());
  m.impl("addmm", torch::CppFunction::makeFromBoxedFunction<&multiply<2, 1>>());
  m.impl("baddbmm", torch::CppFunction::makeFromBoxedFunction<&multiply<3, 1>>());
  m.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&convolve>());
  m.impl("_convolution", torch::CppFunction::makeFromBoxedFunction<&convolve>());
}

struct ShapesOnly::Guard {
  c10::impl::IncludeDispatchKeyGuard include{kKey};
};

ShapesOnly::ShapesOnly() : guard_(std::make_unique<Guard>()) {}
ShapesOnly::~ShapesOnly() = default;

}  // namespace tr0n::torchscript
