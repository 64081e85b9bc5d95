#include "bridge/onnx_segment.h"

#include "base/error.h"
#include "bridge/block_model.h"

namespace tr0n {

using ort::ElementType;

namespace {

void check_float32(const Session& session, const ValueInfo& info) {
  if (!info.tensor || info.type != ElementType::float32)
    throw Error("ERR_MODEL_UNSUPPORTED", session.name() + ": \"" + info.name +
                                             "\": expected float32, the model has " + type_name(info.type));
}

}  // namespace

class OnnxSegment::OnnxPass final : public Segment::Pass {
 public:
  OnnxPass(const OnnxSegment& segment, const float* input, size_t rows, bool record,
           const CancellableRun& run, const CancelToken& cancel)
      : segment_(segment) {
    const OnnxSegmentConfig& config = segment.config_;
    batch_shape(rows, config.input_shape, input_shape_);
    input_ = make_value(const_cast<float*>(input), element_count(input_shape_) * sizeof(float),
                        input_shape_.data(), input_shape_.size(), ElementType::float32);
    const Session& session = record ? *config.recorded : *config.forward;
    const size_t count = record ? segment.outputs_.size() : 1;
    std::vector<ort::Value*> outputs(count, nullptr);
    const ort::Value* const inputs[] = {input_.get()};
    const char* const names[] = {config.input.c_str()};
    session.run_raw(run.options(), names, inputs, 1, segment.outputs_.data(), count, outputs.data(), cancel);
    values_.reserve(count);
    for (ort::Value* value : outputs) values_.emplace_back(value);
    TensorView view = value_view(values_[0].get(), config.name + ": output \"" + config.output + "\"");
    output_ = static_cast<const float*>(view.data);
    shape_ = std::move(view.shape);
  }

  const float* output() const override { return output_; }
  const std::vector<int64_t>& shape() const override { return shape_; }

  void backward(const float* cotangent, float* gradient, const CancellableRun& run,
                const CancelToken& cancel) override {
    const OnnxSegmentConfig& config = segment_.config_;
    const auto over = [](const float* data, const std::vector<int64_t>& shape) {
      return make_value(const_cast<float*>(data), element_count(shape) * sizeof(float), shape.data(),
                        shape.size(), ElementType::float32);
    };
    const ort::ValueHandle seed = over(cotangent, shape_);
    const ort::ValueHandle result = over(gradient, input_shape_);
    std::vector<const ort::Value*> inputs;
    for (const size_t place : segment_.saved_)
      inputs.push_back(place == kInput ? input_.get() : values_[place].get());
    inputs.push_back(seed.get());
    const char* const names[] = {config.gradient.c_str()};
    ort::Value* outputs[] = {result.get()};
    config.backward->run_raw(run.options(), segment_.backward_inputs_.data(), inputs.data(), inputs.size(),
                             names, 1, outputs, cancel);
  }

 private:
  const OnnxSegment& segment_;
  std::vector<int64_t> input_shape_, shape_;
  ort::ValueHandle input_;
  std::vector<ort::ValueHandle> values_;  ///< of the segment's outputs_
  const float* output_ = nullptr;
};

OnnxSegment::OnnxSegment(OnnxSegmentConfig config) : config_(std::move(config)) {
  check_float32(*config_.forward, config_.forward->input(config_.input));
  check_float32(*config_.forward, config_.forward->output(config_.output));
  outputs_.push_back(config_.output.c_str());
  for (const std::string& name : config_.saved) {
    backward_inputs_.push_back(name.c_str());
    saved_.push_back(name == config_.input ? kInput : name == config_.output ? 0 : outputs_.size());
    if (saved_.back() == outputs_.size()) outputs_.push_back(name.c_str());
  }
  if (!config_.backward) return;
  for (const char* name : outputs_) config_.recorded->output(name);
  backward_inputs_.push_back(config_.cotangent.c_str());
  for (const char* name : backward_inputs_) config_.backward->input(name);
  check_float32(*config_.backward, config_.backward->output(config_.gradient));
}

std::unique_ptr<Segment::Pass> OnnxSegment::forward(const float* input, size_t rows, bool record,
                                                    const CancellableRun& run,
                                                    const CancelToken& cancel) const {
  return std::make_unique<OnnxPass>(*this, input, rows, record, run, cancel);
}

}  // namespace tr0n
