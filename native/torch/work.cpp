#include "torch/work.h"

#include <torch/script.h>

#include <algorithm>
#include <memory>
#include <string>

namespace tr0n::torchscript {
namespace {

thread_local Work* current = nullptr;
thread_local int depth = 0;

double elements(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() ? static_cast<double>(value.toTensor().numel()) : 0;
}

double largest_result(const at::RecordFunction& call) {
  double most = 0;
  for (const c10::IValue& output : call.outputs()) {
    if (output.isTensorList())
      for (const at::Tensor& part : output.toTensorVector())
        most = std::max(most, static_cast<double>(part.numel()));
    else
      most = std::max(most, elements(output));
  }
  return most;
}

/// Multiply-adds of an element of the result: the numbers that a weight or the second factor has for each.
double flops_of(const at::RecordFunction& call) {
  const auto inputs = call.inputs();
  const std::string name = call.name();
  const double result = largest_result(call);
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  const auto tensor = [&](size_t i) {
    return inputs.size() > i && inputs[i].isTensor() ? &inputs[i] : nullptr;
  };
  const auto width = [&](size_t i, int64_t axis) -> double {
    const c10::IValue* value = tensor(i);
    if (value == nullptr || value->toTensor().dim() == 0) return 1;
    return static_cast<double>(value->toTensor().size(axis));
  };
  if (has("conv") && tensor(0) != nullptr && tensor(1) != nullptr && width(1, 0) > 0) {
    const double taps = elements(*tensor(1)) / width(1, 0);
    // Argument 6 of aten::_convolution and aten::convolution says whether it is transposed.
    const bool general = name == "aten::_convolution" || name == "aten::convolution";
    const bool transposed =
        has("transpose") || (general && inputs.size() > 6 && inputs[6].isBool() && inputs[6].toBool());
    return 2 * taps * (transposed ? elements(*tensor(0)) : result);
  }
  if (name == "aten::linear" || name == "aten::mm" || name == "aten::bmm" || name == "aten::matmul")
    return 2 * result * width(0, -1);
  if (name == "aten::addmm" || name == "aten::baddbmm") return 2 * result * width(1, -1);
  if (has("attention") && tensor(0) != nullptr && tensor(1) != nullptr && tensor(1)->toTensor().dim() > 1)
    return 4 * result * width(1, -2);
  return result;
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
  ++depth;
  return nullptr;
}

void end(const at::RecordFunction& call, at::ObserverContext*) {
  if (--depth > 0 || current == nullptr) return;
  current->flops += flops_of(call);
  current->operators += 1;
}

}  // namespace

WorkCount::WorkCount(Work& work)
    : before_(current),
      handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(begin, end)
                                             .needsInputs(true)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}))) {
  current = &work;
  depth = 0;
}

WorkCount::~WorkCount() {
  at::removeCallback(handle_);
  current = before_;
}

}  // namespace tr0n::torchscript
