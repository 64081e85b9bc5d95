#include "bridge/session.h"

#include <algorithm>
#include <cstring>

namespace tr0n {

using ort::ElementType;
using ort::Runtime;

namespace {

std::string names_of(const std::vector<ValueInfo>& values) {
  std::string text;
  for (const ValueInfo& value : values) text += (text.empty() ? "\"" : ", \"") + value.name + "\"";
  return text.empty() ? "none" : text;
}

const ValueInfo& find(const std::vector<ValueInfo>& values, const std::string& name, const char* kind,
                      const std::string& session) {
  for (const ValueInfo& value : values)
    if (value.name == name) return value;
  throw Error("ERR_INVALID_ARGUMENT",
              session + " has no " + kind + " \"" + name + "\"; its " + kind + "s are: " + names_of(values));
}

void check_tensor(const ValueInfo& info, const TensorView& tensor, const std::string& session) {
  const std::string what = session + ": input \"" + info.name + "\"";
  if (!info.tensor || type_size(info.type) == 0)
    throw Error("ERR_MODEL_UNSUPPORTED", what + " is no numeric tensor");
  // Bytes are how booleans come, 16-bit words how half floats come.
  const bool same = tensor.type == info.type ||
                    (tensor.type == ElementType::uint8 && info.type == ElementType::boolean) ||
                    (tensor.type == ElementType::uint16 &&
                     (info.type == ElementType::float16 || info.type == ElementType::bfloat16));
  if (!same)
    throw Error("ERR_INVALID_ARGUMENT",
                what + ": expected " + type_name(info.type) + ", got " + type_name(tensor.type));
  if (info.shape.empty()) return;  // a scalar, or a shape the model does not say
  bool fits = tensor.shape.size() == info.shape.size();
  for (size_t i = 0; fits && i < info.shape.size(); ++i)
    fits = info.shape[i] < 0 || info.shape[i] == tensor.shape[i];
  if (!fits)
    throw Error("ERR_SHAPE_MISMATCH",
                what + ": expected shape " + shape_text(info) + ", got " + shape_text(tensor.shape));
}

}  // namespace

const ValueInfo& Session::input(const std::string& name) const { return find(inputs_, name, "input", name_); }
const ValueInfo& Session::output(const std::string& name) const {
  return find(outputs_, name, "output", name_);
}

void Session::check(const Inputs& inputs, const std::vector<std::string>& outputs) const {
  for (const auto& given : inputs) check_tensor(input(given.first), given.second, name_);
  for (const ValueInfo& wanted : inputs_) {
    const auto is_wanted = [&](const auto& given) { return given.first == wanted.name; };
    if (std::none_of(inputs.begin(), inputs.end(), is_wanted))
      throw Error("ERR_INVALID_ARGUMENT",
                  name_ + ": input \"" + wanted.name + "\" is missing; the inputs are: " + names_of(inputs_));
  }
  for (const std::string& name : outputs) {
    const ValueInfo& info = output(name);
    if (!info.tensor || type_size(info.type) == 0)
      throw Error("ERR_MODEL_UNSUPPORTED", name_ + ": output \"" + name + "\" is no numeric tensor");
  }
}

std::vector<TensorValue> Session::run(const Inputs& inputs, const std::vector<std::string>& outputs,
                                      CancelToken& cancel) const {
  check(inputs, outputs);
  cancel.throw_if_cancelled();
  std::vector<const char*> input_names, output_names;
  std::vector<ort::ValueHandle> values;
  std::vector<const ort::Value*> input_values;
  for (const auto& [name, tensor] : inputs) {
    const ElementType type = input(name).type;
    input_names.push_back(name.c_str());
    values.push_back(make_value(const_cast<void*>(tensor.data), element_count(tensor.shape) * type_size(type),
                                tensor.shape.data(), tensor.shape.size(), type));
    input_values.push_back(values.back().get());
  }
  for (const std::string& name : outputs) output_names.push_back(name.c_str());
  std::vector<ort::Value*> results(outputs.size(), nullptr);
  {
    const CancellableRun run(cancel);
    run_raw(run.options(), input_names.data(), input_values.data(), input_values.size(), output_names.data(),
            output_names.size(), results.data(), cancel);
  }
  std::vector<ort::ValueHandle> owned;
  owned.reserve(results.size());
  for (ort::Value* value : results) owned.emplace_back(value);
  std::vector<TensorValue> tensors;
  for (size_t i = 0; i < owned.size(); ++i)
    tensors.push_back(copy_value(owned[i].get(), name_ + ": output \"" + outputs[i] + "\""));
  return tensors;
}

void Session::run_raw(const ort::RunOptions* options, const char* const* input_names,
                      const ort::Value* const* inputs, size_t input_count, const char* const* output_names,
                      size_t output_count, ort::Value** outputs, const CancelToken& cancel) const {
  const ort::Api& api = Runtime::instance().api();
  const RunGate::Turn turn(device_ ? &device_->gate() : nullptr, &cancel);
  ort::Status* status =
      api.Run(handle_.get(), options, input_names, inputs, input_count, output_names, output_count, outputs);
  check_run(status, cancel);
}

void Session::check_run(ort::Status* status, const CancelToken& cancel) const {
  if (!status) return;
  const ort::Failure failure = ort::take(Runtime::instance().api(), status);
  if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
  if (device_ && failure.device_lost()) throw lost_device(name_, *device_, "during a run", failure);
  throw Error(failure.out_of_memory() ? "ERR_OUT_OF_MEMORY" : "ERR_RUN_FAILED",
              name_ + ": the run failed: " + failure.message);
}

namespace {

ort::RunOptionsHandle run_options(bool queued) {
  const ort::Api& api = Runtime::instance().api();
  ort::RunOptions* options = nullptr;
  ort::check(api, api.CreateRunOptions(&options));
  ort::RunOptionsHandle handle(options);
  ort::check(api, api.RunOptionsSetRunLogSeverityLevel(options, ort::kLogFatal));
  if (queued) ort::check(api, api.AddRunConfigEntry(options, "disable_synchronize_execution_providers", "1"));
  return handle;
}

}  // namespace

CancellableRun::CancellableRun(CancelToken& cancel, bool queued)
    : options_(run_options(false)),
      queued_(queued ? run_options(true) : nullptr),
      hook_(cancel, [options = options_.get(), other = queued_.get()] {
        const ort::Api& api = Runtime::instance().api();
        ort::take(api, api.RunOptionsSetTerminate(options));
        if (other != nullptr) ort::take(api, api.RunOptionsSetTerminate(other));
      }) {}

ort::ValueHandle make_value(void* data, size_t bytes, const int64_t* shape, size_t rank, ElementType type,
                            const ort::MemoryInfo* memory) {
  Runtime& runtime = Runtime::instance();
  ort::Value* value = nullptr;
  ort::check(runtime.api(), runtime.api().CreateTensorWithDataAsOrtValue(memory, data, bytes, shape, rank,
                                                                         static_cast<int>(type), &value));
  return ort::ValueHandle(value);
}

TensorView value_view(ort::Value* value, const std::string& what) {
  const ort::Api& api = Runtime::instance().api();
  int is_tensor = 0;
  if (value) ort::check(api, api.IsTensor(value, &is_tensor));
  if (!is_tensor) throw Error("ERR_MODEL_UNSUPPORTED", what + " is no tensor");
  ort::TensorInfo* raw = nullptr;
  ort::check(api, api.GetTensorTypeAndShape(value, &raw));
  const ort::TensorInfoHandle info(raw);
  int type = 0;
  ort::check(api, api.GetTensorElementType(info.get(), &type));
  size_t rank = 0;
  ort::check(api, api.GetDimensionsCount(info.get(), &rank));
  TensorView tensor;
  tensor.type = static_cast<ElementType>(type);
  tensor.shape.resize(rank);
  if (rank > 0) ort::check(api, api.GetDimensions(info.get(), tensor.shape.data(), rank));
  if (type_size(tensor.type) == 0)
    throw Error("ERR_MODEL_UNSUPPORTED",
                what + " has elements of type " + type_name(tensor.type) + ", expected numbers or booleans");
  void* data = nullptr;
  ort::check(api, api.GetTensorMutableData(value, &data));
  tensor.data = data;
  return tensor;
}

TensorValue copy_value(ort::Value* value, const std::string& what) {
  TensorView view = value_view(value, what);
  const size_t bytes = element_count(view.shape) * type_size(view.type);
  TensorValue tensor{HostBlock(bytes), view.type, std::move(view.shape)};
  if (bytes > 0) std::memcpy(tensor.data.data(), view.data, bytes);
  return tensor;
}

}  // namespace tr0n
