#include "bridge/runtime_values.h"
#include "bridge/session.h"
#include "device/device.h"

namespace tr0n {

using ort::ElementType;
using ort::Runtime;

namespace {

using IoBindingHandle = ort::Handle<ort::IoBinding, &ort::Api::ReleaseIoBinding>;

ort::ValueHandle over_memory(const PlacedTensor& tensor, const ort::MemoryInfo* memory) {
  return make_value(tensor.data, element_count(tensor.shape) * sizeof(float), tensor.shape.data(),
                    tensor.shape.size(), ElementType::float32, memory);
}

/// Null is a device's: what older runtimes do not tell.
bool is_host(const ort::MemoryInfo* memory) {
  if (memory == nullptr) return false;
  int type = 0;
  Runtime::instance().api().MemoryInfoGetDeviceType(memory, &type);
  return type == ort::kCpuMemory;
}

bool on_host(const PlacedTensor& tensor) {
  if (tensor.value == nullptr) return tensor.place.is_host();
  const ort::Api& api = Runtime::instance().api();
  const ort::MemoryInfo* memory = nullptr;
  ort::check(api, api.GetTensorMemoryInfo(tensor.value, &memory));
  return is_host(memory);
}

size_t bytes_of(const PlacedTensor& tensor) {
  if (tensor.value == nullptr) return element_count(tensor.shape) * sizeof(float);
  const TensorView view = value_view(tensor.value, "a value");
  return element_count(view.shape) * type_size(view.type);
}

std::vector<ort::ValueHandle> outputs_of(const ort::IoBinding* binding) {
  Runtime& runtime = Runtime::instance();
  ort::Value** values = nullptr;
  size_t count = 0;
  ort::check(runtime.api(),
             runtime.api().GetBoundOutputValues(binding, runtime.allocator(), &values, &count));
  std::vector<ort::ValueHandle> owned;
  for (size_t i = 0; i < count; ++i) owned.emplace_back(values[i]);
  if (values != nullptr) ort::check(runtime.api(), runtime.api().AllocatorFree(runtime.allocator(), values));
  return owned;
}

}  // namespace

RuntimeValues::~RuntimeValues() {
  const RunGate::Turn turn(device_ ? &device_->gate() : nullptr, nullptr);
  values_.clear();
}

Place Session::place() const { return device_ ? device_->place() : Place{}; }

void Session::learn_memory() {
  if (!device_) return;
  const auto ask = [&](size_t index, size_t count) {
    Runtime& runtime = Runtime::instance();
    std::vector<const ort::MemoryInfo*> memory(count, nullptr);
    const auto get = runtime.later<ort::GetSessionMemory>(ort::kSessionMemoryVersion, index);
    if (get) ort::check(runtime.api(), get(handle_.get(), memory.data(), count));
    return memory;
  };
  input_memory_ = ask(ort::kInputMemoryIndex, inputs_.size());
  output_memory_ = ask(ort::kOutputMemoryIndex, outputs_.size());
}

const ort::MemoryInfo* Session::memory_of(const std::vector<ValueInfo>& values,
                                          const std::vector<const ort::MemoryInfo*>& memory,
                                          const char* name) const {
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i].name == name) return memory[i];
  return nullptr;
}

/// Gives the tensors without data what a run made for them, which they own together.
void Session::hand_over(std::vector<ort::ValueHandle> made, const Fetch* fetches, size_t count) const {
  std::shared_ptr<RuntimeValues> owner;
  for (size_t k = 0; k < count; ++k) {
    PlacedTensor& tensor = *fetches[k].tensor;
    if (tensor.data != nullptr) continue;
    if (!owner) owner = std::make_shared<RuntimeValues>(handle_, device_);
    tensor.owner = owner;
    tensor.value = owner->keep(std::move(made[k]));
  }
  for (size_t k = 0; k < count; ++k) {
    PlacedTensor& tensor = *fetches[k].tensor;
    if (tensor.data != nullptr || fetches[k].anywhere) continue;
    TensorView view = value_view(tensor.value, name_ + ": output \"" + fetches[k].name + "\"");
    tensor.shape = std::move(view.shape);
    if (tensor.place.kind != Place::Kind::runtime)
      tensor.data = static_cast<float*>(const_cast<void*>(view.data));
  }
}

void Session::run_placed(const CancellableRun& run, const Feed* feeds, size_t feed_count,
                         const Fetch* fetches, size_t fetch_count, const CancelToken& cancel) const {
  if (device_) return run_bound(run, feeds, feed_count, fetches, fetch_count, cancel);
  std::vector<ort::ValueHandle> views;
  const auto view = [&, memory = Runtime::instance().cpu_memory()](const PlacedTensor& tensor) {
    return views.emplace_back(over_memory(tensor, memory)).get();
  };
  std::vector<const char*> input_names, output_names;
  std::vector<const ort::Value*> inputs;
  std::vector<ort::Value*> outputs;
  for (size_t i = 0; i < feed_count; ++i) {
    const PlacedTensor& tensor = *feeds[i].tensor;
    input_names.push_back(feeds[i].name);
    inputs.push_back(tensor.value != nullptr ? tensor.value : view(tensor));
  }
  for (size_t k = 0; k < fetch_count; ++k) {
    output_names.push_back(fetches[k].name);
    outputs.push_back(fetches[k].tensor->data != nullptr ? view(*fetches[k].tensor) : nullptr);
  }
  run_raw(run.options(), input_names.data(), inputs.data(), feed_count, output_names.data(), fetch_count,
          outputs.data(), cancel);
  std::vector<ort::ValueHandle> made(fetch_count);
  for (size_t k = 0; k < fetch_count; ++k)
    if (fetches[k].tensor->data == nullptr) made[k].reset(outputs[k]);
  hand_over(std::move(made), fetches, fetch_count);
}

void Session::run_bound(const CancellableRun& run, const Feed* feeds, size_t feed_count, const Fetch* fetches,
                        size_t fetch_count, const CancelToken& cancel) const {
  const ort::Api& api = Runtime::instance().api();
  const ort::MemoryInfo* const host = Runtime::instance().cpu_memory();
  const auto memory_at = [&](const Place& where) { return where.is_host() ? host : device_->memory_info(); };
  // The runtime copies inputs that it wants elsewhere as they are bound, in no queue's order.
  for (size_t i = 0; i < feed_count; ++i) {
    const PlacedTensor& tensor = *feeds[i].tensor;
    const bool here = on_host(tensor), wanted = is_host(memory_of(inputs_, input_memory_, feeds[i].name));
    if (here == wanted) continue;
    const size_t bytes = bytes_of(tensor);
    if (here)
      count_to_device(bytes);
    else
      count_to_host(bytes);
    if (!here && place().kind == Place::Kind::device) place().device->synchronize();
  }
  // Where all outputs stay in the queue, nobody waits for it.
  bool queued = place().kind == Place::Kind::device;
  std::vector<ort::ValueHandle> made, views;
  {
    const RunGate::Turn turn(&device_->gate(), &cancel);
    ort::IoBinding* raw = nullptr;
    ort::check(api, api.CreateIoBinding(handle_.get(), &raw));
    const IoBindingHandle binding(raw);
    for (size_t i = 0; i < feed_count; ++i) {
      const PlacedTensor& tensor = *feeds[i].tensor;
      const ort::Value* value = tensor.value;
      if (value == nullptr) value = views.emplace_back(over_memory(tensor, memory_at(tensor.place))).get();
      check_run(api.BindInput(raw, feeds[i].name, value), cancel);
    }
    for (size_t k = 0; k < fetch_count; ++k) {
      const PlacedTensor& tensor = *fetches[k].tensor;
      const ort::MemoryInfo* memory = memory_at(tensor.place);
      if (fetches[k].anywhere) {
        const ort::MemoryInfo* made_in = memory_of(outputs_, output_memory_, fetches[k].name);
        memory = made_in != nullptr ? made_in : device_->memory_info();
      }
      queued = queued && !is_host(memory);
      if (tensor.data == nullptr) {
        check_run(api.BindOutputToDevice(raw, fetches[k].name, memory), cancel);
      } else {
        views.push_back(over_memory(tensor, memory));
        check_run(api.BindOutput(raw, fetches[k].name, views.back().get()), cancel);
      }
    }
    check_run(api.RunWithBinding(handle_.get(), run.options(queued), raw), cancel);
    made = outputs_of(raw);
  }
  hand_over(std::move(made), fetches, fetch_count);
  for (size_t k = 0; k < fetch_count; ++k) {
    if (fetches[k].anywhere) continue;
    const bool here = is_host(memory_of(outputs_, output_memory_, fetches[k].name));
    const bool wanted = fetches[k].tensor->place.is_host();
    if (!here && wanted) count_to_host(bytes_of(*fetches[k].tensor));
    if (here && !wanted) count_to_device(bytes_of(*fetches[k].tensor));
  }
}

}  // namespace tr0n
