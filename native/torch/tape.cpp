#include "torch/tape.h"

#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>

#include "torch/arguments.h"
#include "torch/errors.h"
#include "torch/flat_ends.h"
#include "torch/outputs.h"
#include "torch/shapes_only.h"

namespace tr0n::torchscript {
namespace {

at::Tensor view(const tr0n_torch_tensor& tensor) {
  const c10::Device device = tensor.device < 0
                                 ? c10::Device(c10::kCPU)
                                 : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(tensor.device));
  const at::IntArrayRef shape(tensor.shape, static_cast<size_t>(tensor.rank));
  return torch::from_blob(tensor.data, shape,
                          at::TensorOptions().dtype(scalar_type(tensor.element_type)).device(device));
}

/// Work on a GPU is queued; host code that reads the result, or another stream, must not come too early.
void finish(const tr0n_torch_model& model) {
  if (model.device.is_cuda()) torch::cuda::synchronize(model.device.index());
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// Copies of host memory: the model may work in place, and results must not depend on how the caller's memory
/// is aligned. Memory of the model's own GPU is used where it lies.
std::vector<c10::IValue> arguments(tr0n_torch_tape& tape, const tr0n_torch_tensor* inputs, bool record) {
  const tr0n_torch_model& model = *tape.model;
  std::vector<c10::IValue> values;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    at::Tensor leaf = view(inputs[i]);
    const bool copied = leaf.device() != model.device;
    if (copied) leaf = leaf.to(model.device);
    if (record) {
      if (leaf.is_floating_point()) leaf.set_requires_grad(true);
      tape.leaves.push_back(leaf);
    }
    const bool shared = !copied && inputs[i].device >= 0;
    // Of a leaf, too: in-place operations are forbidden on leaves, and allowed on their copies.
    values.emplace_back(shared || (copied && !record) ? leaf : leaf.clone());
  }
  return pack(model, std::move(values));
}

void finish_outputs(tr0n_torch_tape& tape, const c10::IValue& result, bool on_device) {
  const tr0n_torch_model& model = *tape.model;
  for (NamedTensor& output : name_outputs(model, result)) {
    if (element_type(output.tensor.scalar_type()) == 0 || output.tensor.layout() != at::kStrided)
      throw Failure("ERR_MODEL_UNSUPPORTED",
                    model.name + ": output \"" + output.name + "\" has elements of type " +
                        c10::toString(output.tensor.scalar_type()) +
                        (output.tensor.layout() == at::kStrided ? "" : " in a sparse layout") +
                        ", expected a dense tensor of float32, float64, integers or booleans");
    at::Tensor dense = output.tensor.detach().contiguous();
    if (!on_device && !dense.device().is_cpu()) dense = dense.to(at::kCPU);
    // Lazily negated or conjugated views would show their bits as they lie in memory.
    dense = dense.resolve_conj().resolve_neg();
    tape.outputs.push_back({std::move(output.name), std::move(output.tensor), std::move(dense)});
  }
}

}  // namespace

std::unique_ptr<tr0n_torch_tape> run(const tr0n_torch_model& model, const tr0n_torch_tensor* inputs,
                                     int32_t count, int32_t flags) {
  if (static_cast<size_t>(count) != model.inputs.size())
    throw Failure("ERR_INTERNAL", model.name + ": expected " + std::to_string(model.inputs.size()) +
                                      " inputs, got " + std::to_string(count));
  const bool record = (flags & TR0N_TORCH_RECORD) != 0;
  auto tape = std::make_unique<tr0n_torch_tape>();
  tape->model = &model;
  tape->recorded = record;
  // No specialisation by what the first runs saw: every run computes the same, and from the first one on.
  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  const c10::InferenceMode inference(!record);
  const at::AutoGradMode gradients(record);
  std::vector<c10::IValue> values = arguments(*tape, inputs, record);
  const auto call = [&] {
    const auto shapes =
        (flags & TR0N_TORCH_SHAPES) != 0 && model.shapes_follow ? std::make_unique<ShapesOnly>() : nullptr;
    return model.call(std::move(values));
  };
  const c10::IValue result = (flags & TR0N_TORCH_COUNT) != 0 ? counted(tape->work, call) : call();
  finish_outputs(*tape, result, (flags & TR0N_TORCH_ON_DEVICE) != 0);
  finish(model);
  return tape;
}

void backward(tr0n_torch_tape& tape, const tr0n_torch_tensor* cotangents, bool keep,
              const tr0n_torch_tensor* gradients) {
  const tr0n_torch_model& model = *tape.model;
  if (!tape.recorded) throw Failure("ERR_INTERNAL", model.name + ": this run was not recorded");
  if (tape.used_up) throw Failure("ERR_INTERNAL", model.name + ": this run's activations are gone");
  const at::NoGradGuard no_second_order;
  torch::autograd::variable_list roots, seeds, wanted;
  for (size_t k = 0; k < tape.outputs.size(); ++k) {
    if (!cotangents[k].data) continue;
    const tr0n_torch_tape::Output& output = tape.outputs[k];
    if (!output.value.requires_grad())
      throw Failure(
          "ERR_NO_GRADIENT",
          model.name + ": output \"" + output.name +
              "\" has no gradient: nothing differentiable leads from the inputs to it (torch.no_grad(), "
              "detach(), argmax and integers break the way)");
    const at::Tensor seed = view(cotangents[k]);
    if (seed.sizes() != output.value.sizes())
      throw Failure("ERR_SHAPE_MISMATCH", model.name + ": the cotangent of output \"" + output.name +
                                              "\": expected shape " + shape_text(output.value.sizes()) +
                                              ", got " + shape_text(seed.sizes()));
    roots.push_back(output.value);
    seeds.push_back(seed.to(output.value.device(), output.value.scalar_type()));
  }
  std::vector<size_t> indices;
  for (size_t i = 0; i < tape.leaves.size(); ++i) {
    if (!gradients[i].data) continue;
    if (!tape.leaves[i].requires_grad() || roots.empty()) {
      view(gradients[i]).zero_();
      continue;
    }
    indices.push_back(i);
    wanted.push_back(tape.leaves[i]);
  }
  if (wanted.empty()) return;
  if (const std::string ends = flat_ends(roots, wanted); !ends.empty())
    throw Failure("ERR_NO_GRADIENT",
                  model.name + ": no path with a gradient leads from the inputs to the outputs: " + ends +
                      " is constant almost everywhere");
  tape.used_up = !keep;
  const torch::autograd::variable_list results = torch::autograd::grad(
      roots, wanted, seeds, /*retain_graph=*/keep, /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t j = 0; j < indices.size(); ++j) {
    at::Tensor target = view(gradients[indices[j]]);
    if (results[j].defined())
      target.copy_(results[j]);
    else
      target.zero_();
  }
  finish(model);
  // Activations that only outputs hold on to are of no use any more.
  if (!keep)
    for (tr0n_torch_tape::Output& output : tape.outputs) output.value = at::Tensor();
}

}  // namespace tr0n::torchscript
