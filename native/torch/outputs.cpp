#include "torch/outputs.h"

#include "torch/errors.h"
#include "torch/returned_values.h"

namespace tr0n::torchscript {
namespace {

[[noreturn]] void refuse(const tr0n_torch_model& model, const std::string& what) {
  throw Failure("ERR_MODEL_UNSUPPORTED",
                model.name + ": forward() returns " + what +
                    ", expected a tensor, or a tuple, list or dictionary of tensors");
}

void add(const tr0n_torch_model& model, std::vector<NamedTensor>& outputs, std::string name,
         const c10::IValue& value) {
  if (value.isNone()) return;
  if (!value.isTensor()) refuse(model, "a " + value.tagKind() + " as \"" + name + "\"");
  if (value.toTensor().defined()) outputs.push_back({std::move(name), value.toTensor()});
}

}  // namespace

std::vector<NamedTensor> name_outputs(const tr0n_torch_model& model, const c10::IValue& result) {
  std::vector<NamedTensor> outputs;
  const auto numbered = [](size_t i) { return "output_" + std::to_string(i); };
  if (model.function) {
    add(model, outputs, model.function->name(), result);
  } else if (result.isTensor()) {
    add(model, outputs, tensor_name(model.module), result);
  } else if (result.isTuple()) {
    const auto tuple = result.toTuple();
    const auto type = tuple->type();
    const auto& schema = type->schema();
    const auto& elements = tuple->elements();
    for (size_t i = 0; i < elements.size(); ++i)
      add(model, outputs, schema ? schema->arguments().at(i).name() : numbered(i), elements[i]);
  } else if (result.isGenericDict()) {
    for (const auto& entry : result.toGenericDict()) {
      if (!entry.key().isString()) refuse(model, "a dictionary whose keys are no strings");
      add(model, outputs, entry.key().toStringRef(), entry.value());
    }
  } else if (result.isList()) {
    const auto list = result.toListRef();
    for (size_t i = 0; i < list.size(); ++i) add(model, outputs, numbered(i), list[i]);
  } else {
    refuse(model, "a " + result.tagKind());
  }
  if (outputs.empty()) refuse(model, "no tensor");
  return outputs;
}

}  // namespace tr0n::torchscript
