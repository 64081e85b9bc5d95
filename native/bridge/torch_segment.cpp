#include "bridge/torch_segment.h"

#include "base/error.h"
#include "bridge/block_model.h"

namespace tr0n {

using ort::ElementType;

namespace {

constexpr int kThreads = 1;  // blocks of rows share the threads

void check_float32(const TorchModel& model, const char* side, const ValueInfo& info) {
  if (info.type != ElementType::float32)
    throw Error("ERR_MODEL_UNSUPPORTED", model.name() + ": " + side + " \"" + info.name +
                                             "\": expected float32, the model has " + type_name(info.type));
}

}  // namespace

class TorchSegment::TorchPass final : public Segment::Pass {
 public:
  TorchPass(const TorchSegment& segment, const PlacedTensor& input, size_t rows, bool record,
            const Place& out, const CancelToken& cancel, bool count)
      : segment_(segment) {
    const TorchSegmentConfig& config = segment.config_;
    TensorView view;
    view.data = input.data;
    view.type = ElementType::float32;
    batch_shape(rows, config.input_shape, view.shape);
    tape_ = config.model->run(&view, 1, kThreads, record, cancel, count);
    check_torch_outputs(*tape_, config.interface.outputs, config.model->name());
    output_ = PlacedTensor::over(static_cast<const float*>(tape_->data(segment.output_)),
                                 tape_->info(segment.output_).shape, out);
  }

  RowCost cost(size_t rows) const {
    const TorchWork work = tape_->work();
    return {work.flops / static_cast<double>(rows), work.operators, 0};
  }

  const PlacedTensor& output() const override { return output_; }

  void backward(const PlacedTensor& cotangent, PlacedTensor& gradient, const CancellableRun&,
                const CancelToken& cancel) override {
    std::vector<const float*> seeds(tape_->output_count(), nullptr);
    seeds[segment_.output_] = cotangent.data;
    tape_->backward(seeds.data(), &gradient.data, kThreads, cancel);
  }

 private:
  const TorchSegment& segment_;
  std::unique_ptr<TorchTape> tape_;
  PlacedTensor output_;
};

TorchSegment::TorchSegment(TorchSegmentConfig config) : config_(std::move(config)) {
  const TorchModel& model = *config_.model;
  const std::vector<ValueInfo>& inputs = config_.interface.inputs;
  if (inputs.size() != 1)
    throw Error("ERR_INVALID_ARGUMENT",
                model.name() + ": expected one input, got " + std::to_string(inputs.size()));
  check_float32(model, "input", inputs[0]);
  std::vector<int64_t> shape = config_.input_shape;
  shape.insert(shape.begin(), inputs[0].shape.empty() ? -1 : inputs[0].shape[0]);
  bool fits = shape.size() == inputs[0].shape.size();
  for (size_t axis = 1; fits && axis < shape.size(); ++axis)
    fits = inputs[0].shape[axis] < 0 || inputs[0].shape[axis] == shape[axis];
  if (!fits)
    throw Error("ERR_SHAPE_MISMATCH", model.name() + ": rows of shape " + shape_text(config_.input_shape) +
                                          " do not fit the model's " + shape_text(inputs[0]));
  const std::vector<ValueInfo>& outputs = config_.interface.outputs;
  while (output_ < outputs.size() && outputs[output_].name != config_.output) ++output_;
  if (output_ == outputs.size())
    throw Error("ERR_INVALID_ARGUMENT", model.name() + ": there is no output \"" + config_.output + "\"");
  check_float32(model, "output", outputs[output_]);
}

RowCost TorchSegment::counted() const {
  const std::lock_guard<std::mutex> lock(counted_mutex_);
  return counted_;
}

std::unique_ptr<Segment::Pass> TorchSegment::forward(const PlacedTensor& input, size_t rows, bool record,
                                                     const Place& out, const CancellableRun&,
                                                     const CancelToken& cancel) const {
  bool count = false;
  {
    const std::lock_guard<std::mutex> lock(counted_mutex_);
    count = !is_counted_;
  }
  auto pass = std::make_unique<TorchPass>(*this, input, rows, record, out, cancel, count);
  if (count) {
    const std::lock_guard<std::mutex> lock(counted_mutex_);
    counted_ = pass->cost(rows);
    is_counted_ = true;
  }
  return pass;
}

}  // namespace tr0n
