#include "bridge/runtime_values.h"
#include "bridge/session.h"

namespace tr0n {

using ort::ElementType;

namespace {

ort::ValueHandle over_memory(const PlacedTensor& tensor) {
  return make_value(tensor.data, element_count(tensor.shape) * sizeof(float), tensor.shape.data(),
                    tensor.shape.size(), ElementType::float32);
}

/// Gives the tensors without data what a run made for them, which they own together.
void hand_over(std::vector<ort::ValueHandle> made, const Session::Fetch* fetches, size_t count,
               const std::string& name) {
  std::shared_ptr<RuntimeValues> owner;
  for (size_t k = 0; k < count; ++k) {
    PlacedTensor& tensor = *fetches[k].tensor;
    if (tensor.data != nullptr) continue;
    if (!owner) owner = std::make_shared<RuntimeValues>();
    tensor.owner = owner;
    tensor.value = owner->keep(std::move(made[k]));
    if (fetches[k].anywhere) continue;
    TensorView view = value_view(tensor.value, name + ": output \"" + fetches[k].name + "\"");
    tensor.shape = std::move(view.shape);
    tensor.data = static_cast<float*>(const_cast<void*>(view.data));
  }
}

}  // namespace

void Session::run_placed(const CancellableRun& run, const Feed* feeds, size_t feed_count,
                         const Fetch* fetches, size_t fetch_count, const CancelToken& cancel) const {
  std::vector<ort::ValueHandle> views;
  const auto view = [&](const PlacedTensor& tensor) { return views.emplace_back(over_memory(tensor)).get(); };
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
  hand_over(std::move(made), fetches, fetch_count, name_);
}

}  // namespace tr0n
