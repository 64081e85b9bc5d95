#include "addon/segment_arguments.h"

#include "addon/arguments.h"
#include "addon/session_object.h"
#include "addon/torch_model_object.h"
#include "bridge/fixed_batch_segment.h"
#include "bridge/onnx_segment.h"
#include "bridge/torch_segment.h"

namespace tr0n::addon {
namespace {

constexpr size_t kMostFixedRows = size_t{1} << 20;
constexpr size_t kMostNumbers = size_t{1} << 26;

std::shared_ptr<const Segment> read_onnx(const Fields& fields) {
  OnnxSegmentConfig config;
  config.name = fields.text("name");
  config.input_shape = read_shape(fields.get("inputShape"), fields.path("inputShape"));
  config.forward = SessionObject::session_from(fields.get("forward"), fields.path("forward"));
  config.input = fields.text("input");
  config.output = fields.text("output");
  if (fields.has("backward")) {
    config.recorded = SessionObject::session_from(fields.get("recorded"), fields.path("recorded"));
    config.backward = SessionObject::session_from(fields.get("backward"), fields.path("backward"));
    config.saved = read_texts(fields.get("saved"), fields.path("saved"));
    config.cotangent = fields.text("cotangent");
    config.gradient = fields.text("gradient");
  }
  return std::make_shared<OnnxSegment>(std::move(config));
}

std::vector<TorchPart> read_parts(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw_invalid(name, "an array of parts", value);
  const auto list = value.As<Napi::Array>();
  std::vector<TorchPart> parts;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Fields fields(list.Get(i), name + "[" + std::to_string(i) + "]");
    TorchPart part;
    part.input = fields.text("input");
    part.begin = fields.size("begin", 0, kMostNumbers);
    part.size = fields.size("size", 1, kMostNumbers);
    part.shape = read_shape(fields.get("shape"), fields.path("shape"));
    fields.optional("broadcast", part.broadcast);
    fields.optional("oneHot", part.one_hot);
    if (fields.has("borders")) {
      const Napi::Value borders = fields.get("borders");
      if (!borders.IsTypedArray() || borders.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
        throw_invalid(fields.path("borders"), "a Float32Array", borders);
      const auto numbers = borders.As<Napi::Float32Array>();
      part.borders.assign(numbers.Data(), numbers.Data() + numbers.ElementLength());
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

std::shared_ptr<const Segment> read_torch(const Fields& fields) {
  const auto counted = TorchModelObject::from(fields.get("model"), fields.path("model"));
  TorchSegmentConfig config;
  config.model = {counted, counted->model.get()};
  config.interface = counted->interface;
  config.input_shape = read_shape(fields.get("inputShape"), fields.path("inputShape"));
  config.output = fields.text("output");
  if (fields.has("parts")) config.parts = read_parts(fields.get("parts"), fields.path("parts"));
  return std::make_shared<TorchSegment>(std::move(config));
}

}  // namespace

std::vector<std::shared_ptr<const Segment>> read_segments(const Napi::Value& value, const std::string& name) {
  std::vector<std::shared_ptr<const Segment>> segments;
  if (absent(value)) return segments;
  if (!value.IsArray()) throw_invalid(name, "an array of segments", value);
  const auto list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Fields fields(list.Get(i), name + "[" + std::to_string(i) + "]");
    segments.push_back(fields.has("model") ? read_torch(fields) : read_onnx(fields));
    size_t batch = 0;
    fields.optional("fixedBatch", batch, 0, kMostFixedRows);
    if (batch > 0) segments.back() = std::make_shared<FixedBatchSegment>(std::move(segments.back()), batch);
  }
  return segments;
}

}  // namespace tr0n::addon
