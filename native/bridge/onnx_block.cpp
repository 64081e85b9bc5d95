#include "bridge/onnx_block.h"

#include <algorithm>

namespace tr0n {

using ort::ElementType;

struct OnnxBlock::Values final : BlockModel::State {
  std::vector<PlacedTensor> inputs, outputs;
  std::vector<Session::Feed> feeds;
  std::vector<Session::Fetch> fetches;
};

void check_batch_axis(const ValueInfo& info, const std::string& what, size_t fixed_batch) {
  if (!info.tensor || info.type != ElementType::float32)
    throw Error("ERR_MODEL_UNSUPPORTED", what + ": expected float32, the model has " + type_name(info.type));
  if (info.shape.empty() || info.shape[0] < 0) return;
  if (static_cast<size_t>(info.shape[0]) == fixed_batch) return;
  const std::string wanted =
      fixed_batch == 0 ? "a symbolic batch" : "a batch of " + std::to_string(fixed_batch);
  throw Error("ERR_SHAPE_MISMATCH",
              what + ": expected " + wanted + ", the model has shape " + shape_text(info));
}

OnnxBlock::OnnxBlock(std::shared_ptr<const Session> session, std::vector<RowInput> inputs,
                     std::vector<std::string> outputs, size_t fixed_batch)
    : session_(std::move(session)), inputs_(std::move(inputs)), output_names_(std::move(outputs)) {
  for (RowInput& input : inputs_) {
    const ValueInfo& info = session_->input(input.name);
    const std::string what = session_->name() + ": input \"" + input.name + "\"";
    input.size = element_count(input.shape);
    if (input.size == 0)
      throw Error("ERR_INVALID_ARGUMENT",
                  what + ": expected rows with elements, got " + shape_text(input.shape));
    check_batch_axis(info, what, fixed_batch);
    bool fits = info.shape.empty() || info.shape.size() == input.shape.size() + 1;
    for (size_t i = 1; fits && i < info.shape.size(); ++i)
      fits = info.shape[i] < 0 || info.shape[i] == input.shape[i - 1];
    if (!fits)
      throw Error("ERR_SHAPE_MISMATCH", what + ": rows of shape " + shape_text(input.shape) +
                                            " do not fit the model's " + shape_text(info));
  }
  for (const ValueInfo& wanted : session_->inputs()) {
    const auto is_wanted = [&](const RowInput& input) { return input.name == wanted.name; };
    if (std::none_of(inputs_.begin(), inputs_.end(), is_wanted))
      throw Error("ERR_INVALID_ARGUMENT",
                  session_->name() + ": input \"" + wanted.name + "\" would get no value");
  }
  for (const std::string& name : output_names_)
    check_batch_axis(session_->output(name), session_->name() + ": output \"" + name + "\"", fixed_batch);
  for (const RowInput& input : inputs_) input_pointers_.push_back(input.name.c_str());
  for (const std::string& name : output_names_) output_pointers_.push_back(name.c_str());
}

std::unique_ptr<BlockModel::State> OnnxBlock::make_state() const { return std::make_unique<Values>(); }

std::vector<std::vector<int64_t>> OnnxBlock::output_shapes(const float* const* inputs, size_t rows,
                                                           CancelToken& cancel) const {
  cancel.throw_if_cancelled();
  std::vector<PlacedTensor> given(inputs_.size()), made(output_names_.size());
  std::vector<Session::Feed> feeds;
  std::vector<Session::Fetch> fetches;
  for (size_t i = 0; i < given.size(); ++i) {
    given[i] = PlacedTensor::over(inputs[i], {}, place());
    batch_shape(rows, inputs_[i].shape, given[i].shape);
    feeds.push_back({input_pointers_[i], &given[i]});
  }
  for (size_t k = 0; k < made.size(); ++k) {
    made[k].place = session_->place();
    fetches.push_back({output_pointers_[k], &made[k]});
  }
  session_->run_placed(CancellableRun(cancel), feeds.data(), feeds.size(), fetches.data(), fetches.size(),
                       cancel);
  std::vector<std::vector<int64_t>> shapes;
  shapes.reserve(made.size());
  for (PlacedTensor& tensor : made) shapes.push_back(std::move(tensor.shape));
  return shapes;
}

void OnnxBlock::run(const float* const* inputs, size_t rows, const std::vector<RowOutput>& shapes,
                    float* const* outputs, State& state, const CancellableRun& run,
                    const CancelToken& cancel) const {
  auto& kept = static_cast<Values&>(state);
  kept.inputs.resize(inputs_.size());
  kept.outputs.resize(shapes.size());
  kept.feeds.clear();
  kept.fetches.clear();
  const auto put = [rows, where = place()](PlacedTensor& tensor, const float* data,
                                           const std::vector<int64_t>& row) {
    tensor.place = where;
    tensor.data = const_cast<float*>(data);
    batch_shape(rows, row, tensor.shape);
    return &tensor;
  };
  for (size_t i = 0; i < inputs_.size(); ++i)
    kept.feeds.push_back({input_pointers_[i], put(kept.inputs[i], inputs[i], inputs_[i].shape)});
  for (size_t k = 0; k < shapes.size(); ++k)
    kept.fetches.push_back({output_pointers_[k], put(kept.outputs[k], outputs[k], shapes[k].shape)});
  session_->run_placed(run, kept.feeds.data(), kept.feeds.size(), kept.fetches.data(), kept.fetches.size(),
                       cancel);
}

}  // namespace tr0n
