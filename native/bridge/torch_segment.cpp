#include "bridge/torch_segment.h"

#include <algorithm>

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

/// How often a part's numbers are in a row of its input.
size_t layers(const TorchPart& part) {
  return part.broadcast && !part.shape.empty() ? static_cast<size_t>(part.shape[0]) : 1;
}

template <class T>
void write_classes(const float* rows, size_t n, size_t width, const TorchPart& part, T* to) {
  const size_t classes = part.borders.size() + 1;
  if (part.one_hot) std::fill_n(to, n * classes, T{0});
  for (size_t i = 0; i < n; ++i) {
    // So many borders lie below the number.
    const auto above =
        std::lower_bound(part.borders.begin(), part.borders.end(), rows[i * width + part.begin]);
    const auto which = static_cast<size_t>(above - part.borders.begin());
    if (part.one_hot)
      to[i * classes + which] = T{1};
    else
      to[i] = static_cast<T>(which);
  }
}

/// A part of rows [n, width] as the input takes it, in memory that is added to `blocks`.
TensorView part_of(const float* rows, size_t n, size_t width, const TorchPart& part, ElementType type,
                   std::vector<HostBlock>& blocks) {
  TensorView view;
  view.type = type;
  batch_shape(n, part.shape, view.shape);
  blocks.emplace_back(element_count(view.shape) * type_size(type));
  void* const memory = blocks.back().data();
  view.data = memory;
  if (part.borders.empty()) {
    const size_t copies = layers(part);
    for (size_t i = 0; i < n; ++i)
      for (size_t k = 0; k < copies; ++k)
        std::copy_n(rows + i * width + part.begin, part.size,
                    static_cast<float*>(memory) + (i * copies + k) * part.size);
  } else if (type == ElementType::int64) {
    write_classes(rows, n, width, part, static_cast<int64_t*>(memory));
  } else if (type == ElementType::int32) {
    write_classes(rows, n, width, part, static_cast<int32_t*>(memory));
  } else {
    write_classes(rows, n, width, part, static_cast<float*>(memory));
  }
  return view;
}

/// Adds the gradient of a part's input to that of rows [n, width].
void add_part(const float* gradient, size_t n, size_t width, const TorchPart& part, float* rows) {
  const size_t copies = layers(part);
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < copies; ++k)
      for (size_t j = 0; j < part.size; ++j)
        rows[i * width + part.begin + j] += gradient[(i * copies + k) * part.size + j];
}

/// Whether an input takes rows of a shape.
bool takes(const ValueInfo& input, const std::vector<int64_t>& row) {
  bool fits = input.shape.size() == row.size() + 1;
  for (size_t axis = 1; fits && axis < input.shape.size(); ++axis)
    fits = input.shape[axis] < 0 || input.shape[axis] == row[axis - 1];
  return fits;
}

void check_takes(const TorchModel& model, const ValueInfo& input, const std::vector<int64_t>& row) {
  if (!takes(input, row))
    throw Error("ERR_SHAPE_MISMATCH", model.name() + ": rows of shape " + shape_text(row) +
                                          " do not fit the model's " + shape_text(input));
}

}  // namespace

class TorchSegment::TorchPass final : public Segment::Pass {
 public:
  TorchPass(const TorchSegment& segment, const PlacedTensor& input, size_t rows, bool record,
            const Place& out, const CancelToken& cancel, bool count)
      : segment_(segment) {
    const TorchSegmentConfig& config = segment.config_;
    std::vector<HostBlock> blocks;
    std::vector<TensorView> open;
    if (config.parts.empty()) {
      open.emplace_back();
      open[0].data = input.data;
      open[0].type = ElementType::float32;
      batch_shape(rows, config.input_shape, open[0].shape);
    } else {
      for (size_t i = 0; i < config.parts.size(); ++i)
        open.push_back(part_of(static_cast<const float*>(input.data), rows, width(), config.parts[i],
                               config.interface.inputs[i].type, blocks));
    }
    for (const TensorView& view : open) shapes_.push_back(view.shape);
    const std::vector<TensorView> views = config.interface.feeds.complete(open, blocks);
    tape_ = config.model->run(views.data(), views.size(), kThreads, record, cancel,
                              count ? TorchWanted::work : TorchWanted::numbers);
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
    const TorchFeeds& feeds = segment_.config_.interface.feeds;
    if (segment_.config_.parts.empty()) {
      tape_->backward(seeds.data(), feeds.spread({gradient.data}).data(), kThreads, cancel);
      return;
    }
    std::vector<HostBlock> blocks(segment_.config_.parts.size());
    std::vector<float*> targets;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const bool wanted = segment_.config_.parts[i].borders.empty();
      if (wanted) blocks[i] = HostBlock(element_count(shapes_[i]) * sizeof(float));
      targets.push_back(wanted ? blocks[i].floats() : nullptr);
    }
    tape_->backward(seeds.data(), feeds.spread(targets).data(), kThreads, cancel);
    const auto rows = static_cast<size_t>(shapes_[0][0]);
    std::fill_n(gradient.data, rows * width(), 0.0f);
    for (size_t i = 0; i < blocks.size(); ++i)
      if (targets[i] != nullptr)
        add_part(targets[i], rows, width(), segment_.config_.parts[i], gradient.data);
  }

 private:
  size_t width() const { return element_count(segment_.config_.input_shape); }

  const TorchSegment& segment_;
  std::vector<std::vector<int64_t>> shapes_;  ///< of the inputs that are fed
  std::unique_ptr<TorchTape> tape_;
  PlacedTensor output_;
};

TorchSegment::TorchSegment(TorchSegmentConfig config) : config_(std::move(config)) {
  const TorchModel& model = *config_.model;
  const std::vector<ValueInfo>& inputs = config_.interface.inputs;
  if (config_.parts.empty()) {
    if (inputs.size() != 1)
      throw Error("ERR_INVALID_ARGUMENT",
                  model.name() + ": expected one input, got " + std::to_string(inputs.size()));
    check_float32(model, "input", inputs[0]);
    check_takes(model, inputs[0], config_.input_shape);
  } else {
    check_parts();
  }
  const std::vector<ValueInfo>& outputs = config_.interface.outputs;
  while (output_ < outputs.size() && outputs[output_].name != config_.output) ++output_;
  if (output_ == outputs.size())
    throw Error("ERR_INVALID_ARGUMENT", model.name() + ": there is no output \"" + config_.output + "\"");
  check_float32(model, "output", outputs[output_]);
}

/// Also puts the parts into the order of the inputs.
void TorchSegment::check_parts() {
  const TorchModel& model = *config_.model;
  std::vector<TorchPart> ordered;
  const size_t width = element_count(config_.input_shape);
  for (const ValueInfo& input : config_.interface.inputs) {
    const auto part = std::find_if(config_.parts.begin(), config_.parts.end(),
                                   [&](const TorchPart& each) { return each.input == input.name; });
    if (part == config_.parts.end())
      throw Error("ERR_INVALID_ARGUMENT",
                  model.name() + ": expected a part for the input \"" + input.name + "\"");
    const bool label = !part->borders.empty();
    const bool whole = input.type == ElementType::int64 || input.type == ElementType::int32;
    if (!(label && whole)) check_float32(model, "input", input);
    const size_t numbers =
        label ? (part->one_hot ? part->borders.size() + 1 : 1) : layers(*part) * part->size;
    if (part->begin + part->size > width || (label && part->size != 1) ||
        element_count(part->shape) != numbers)
      throw Error("ERR_INVALID_ARGUMENT",
                  model.name() + ": the part for the input \"" + input.name + "\" does not fit its shape");
    check_takes(model, input, part->shape);
    ordered.push_back(*part);
  }
  if (ordered.size() != config_.parts.size())
    throw Error("ERR_INVALID_ARGUMENT", model.name() + ": a part belongs to none of the inputs");
  config_.parts = std::move(ordered);
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
