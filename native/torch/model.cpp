#include "torch/model.h"

#include <torch/cuda.h>
#include <torch/version.h>

#include <algorithm>

#include "torch/archive.h"
#include "torch/arguments.h"
#include "torch/errors.h"
#include "torch/half_weights.h"
#include "torch/shape_hints.h"
#include "torch/summary.h"

namespace tr0n::torchscript {
namespace {

bool mentions(const std::string& message, std::initializer_list<const char*> phrases) {
  for (const char* phrase : phrases)
    if (message.find(phrase) != std::string::npos) return true;
  return false;
}

torch::jit::Module load(const void* bytes, size_t size, const std::string& name, c10::Device device,
                        bool trusted) {
  try {
    return read_archive(bytes, size, name, device, trusted);
  } catch (const Failure&) {
    throw;
  } catch (const Damaged& damaged) {
    throw Failure("ERR_MODEL_INVALID",
                  name + ": the archive is damaged, or not what an export writes: " + damaged.what());
  } catch (const std::exception& error) {
    const std::string message = error.what();
    if (says_out_of_memory(message)) throw;
    if (mentions(message, {"Unknown builtin op", "Unknown type name", "Unknown operator"}))
      throw Failure("ERR_MODEL_UNSUPPORTED",
                    name +
                        ": the model uses an operator or a class that libtorch does not have (one defined in "
                        "Python, or in an extension): " +
                        readable(message));
    if (mentions(message, {"maximum supported version", "newer version of PyTorch", "newer than"}))
      throw Failure(
          "ERR_MODEL_UNSUPPORTED",
          name + ": the model was exported by a newer PyTorch than this libtorch (" TORCH_VERSION "): " +
              readable(message));
    throw Failure("ERR_MODEL_INVALID", name + ": libtorch refuses the model: " + readable(message));
  }
}

/// Frozen, and in numbers that tr0n works with.
void settle_tensors(tr0n_torch_model& model) {
  model.module.eval();
  model.widened = widen_halves(model.module);
  for (const auto& attribute : model.module.named_attributes(/*recurse=*/true)) {
    if (!attribute.value.isTensor()) continue;
    at::Tensor tensor = attribute.value.toTensor();
    if (!tensor.defined()) continue;
    if (tensor.is_leaf() && tensor.requires_grad()) tensor.set_requires_grad(false);
    // Numbers that strides repeat are there once.
    if (tensor.layout() == at::kStrided)
      model.parameter_bytes += std::min<uint64_t>(tensor.nbytes(), tensor.storage().nbytes());
  }
}

}  // namespace

int32_t element_type(c10::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return 1;
    case at::kByte:
      return 2;
    case at::kChar:
      return 3;
    case at::kShort:
      return 5;
    case at::kInt:
      return 6;
    case at::kLong:
      return 7;
    case at::kBool:
      return 9;
    case at::kDouble:
      return 11;
    default:
      return 0;
  }
}

c10::ScalarType scalar_type(int32_t element_type) {
  switch (element_type) {
    case 1:
      return at::kFloat;
    case 2:
      return at::kByte;
    case 3:
      return at::kChar;
    case 5:
      return at::kShort;
    case 6:
      return at::kInt;
    case 7:
      return at::kLong;
    case 9:
      return at::kBool;
    case 11:
      return at::kDouble;
    default:
      TORCH_CHECK(false, "tensors of element type ", element_type, " cannot be passed to TorchScript");
  }
}

std::unique_ptr<tr0n_torch_model> open_model(const void* bytes, uint64_t size, const std::string& name,
                                             int32_t device, bool trusted) {
  auto model = std::make_unique<tr0n_torch_model>();
  model->name = name;
  if (device >= 0) {
    if (device >= static_cast<int64_t>(torch::cuda::device_count()))
      throw Failure("ERR_DEVICE_UNAVAILABLE",
                    name + ": libtorch has no CUDA device " + std::to_string(device));
    model->device = c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
  }
  model->module = load(bytes, size, name, model->device, trusted);
  settle_tensors(*model);
  read_arguments(*model);
  hint_shapes(*model);
  model->summary = summarise(*model);
  return model;
}

}  // namespace tr0n::torchscript

c10::IValue tr0n_torch_model::call(std::vector<c10::IValue> values) const {
  if (!function) return module.get_method("forward")(std::move(values));
  values.insert(values.begin(), module._ivalue());
  return (*function)(std::move(values));
}
