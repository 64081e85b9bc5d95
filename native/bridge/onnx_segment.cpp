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
  OnnxPass(const OnnxSegment& segment, const PlacedTensor& input, size_t rows, bool record, const Place& out,
           const CancellableRun& run, const CancelToken& cancel)
      : segment_(segment) {
    const OnnxSegmentConfig& config = segment.config_;
    input_ = PlacedTensor::over(input.data, {}, input.place);
    input_.value = input.value;
    batch_shape(rows, config.input_shape, input_.shape);
    const Session& session = record ? *config.recorded : *config.forward;
    values_.resize(record ? segment.outputs_.size() : 1);
    values_[0].place = out;
    const Session::Feed feed{config.input.c_str(), &input_};
    std::vector<Session::Fetch> fetches;
    for (size_t k = 0; k < values_.size(); ++k)
      fetches.push_back({segment.outputs_[k], &values_[k], /*anywhere=*/k > 0});
    session.run_placed(run, &feed, 1, fetches.data(), fetches.size(), cancel);
  }

  const PlacedTensor& output() const override { return values_[0]; }

  void backward(const PlacedTensor& cotangent, PlacedTensor& gradient, const CancellableRun& run,
                const CancelToken& cancel) override {
    const OnnxSegmentConfig& config = segment_.config_;
    std::vector<Session::Feed> feeds;
    for (size_t i = 0; i < segment_.saved_.size(); ++i) {
      const size_t from = segment_.saved_[i];
      feeds.push_back({segment_.backward_inputs_[i], from == kInput ? &input_ : &values_[from]});
    }
    feeds.push_back({segment_.backward_inputs_.back(), &cotangent});
    const Session::Fetch fetch{config.gradient.c_str(), &gradient};
    config.backward->run_placed(run, feeds.data(), feeds.size(), &fetch, 1, cancel);
  }

 private:
  const OnnxSegment& segment_;
  PlacedTensor input_;
  std::vector<PlacedTensor> values_;  ///< of the segment's outputs_
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

std::unique_ptr<Segment::Pass> OnnxSegment::forward(const PlacedTensor& input, size_t rows, bool record,
                                                    const Place& out, const CancellableRun& run,
                                                    const CancelToken& cancel) const {
  return std::make_unique<OnnxPass>(*this, input, rows, record, out, run, cancel);
}

}  // namespace tr0n
