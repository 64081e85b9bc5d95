#include "addon/torch_model_object.h"

#include <cstring>

#include "addon/model_source.h"
#include "addon/model_values.h"

namespace tr0n::addon {
namespace {

/// Shapes by input; null is an axis of any size.
GivenShapes read_given_shapes(const Napi::Value& options) {
  GivenShapes shapes;
  if (absent(options)) return shapes;
  const Fields fields(options, "options");
  if (!fields.has("inputShapes")) return shapes;
  const std::string path = fields.path("inputShapes");
  const Napi::Object given = read_object(fields.get("inputShapes"), path);
  const Napi::Array names = given.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    const std::string place = std::string(path).append(".").append(name);
    const Napi::Value value = given.Get(name);
    if (!value.IsArray() || value.As<Napi::Array>().Length() > 16)
      throw_invalid(place, "an array of at most 16 sizes", value);
    const auto array = value.As<Napi::Array>();
    std::vector<int64_t>& shape = shapes[name];
    for (uint32_t axis = 0; axis < array.Length(); ++axis) {
      const Napi::Value size = array.Get(axis);
      shape.push_back(absent(size)
                          ? -1
                          : static_cast<int64_t>(read_size(size, place + "[" + std::to_string(axis) + "]", 1,
                                                           size_t{1} << 32)));
    }
  }
  return shapes;
}

/// Values of inputs that nobody feeds: numbers, or tensors of float32, which are copied.
GivenConstants read_constants(const Napi::Value& options) {
  GivenConstants constants;
  if (absent(options)) return constants;
  const Fields fields(options, "options");
  if (!fields.has("inputs")) return constants;
  const std::string path = fields.path("inputs");
  const Napi::Object given = read_object(fields.get("inputs"), path);
  const Napi::Array names = given.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    const std::string place = std::string(path).append(".").append(name);
    const Napi::Value value = given.Get(name);
    TorchConstant& constant = constants[name];
    if (value.IsNumber()) {
      constant.numbers = {value.ToNumber().FloatValue()};
      constant.fills = true;
      continue;
    }
    InputReader reader;
    InputCopies copies;
    const TensorView view = read_tensor(reader, value, place, copies);
    if (view.type != ort::ElementType::float32) throw_invalid(place + ".data", "a Float32Array", value);
    const auto* numbers = static_cast<const float*>(view.data);
    constant.numbers.assign(numbers, numbers + element_count(view.shape));
    constant.shape = view.shape;
  }
  return constants;
}

struct NamedInputs {
  std::vector<TensorView> views;  ///< of those that are fed, in the model's order
  InputCopies copies;
};

/// A run, the constants among its inputs; their memory may go when it has finished.
std::unique_ptr<TorchTape> run_model(const CountedTorchModel& model, const NamedInputs& inputs, bool record,
                                     const CancelToken& cancel) {
  std::vector<HostBlock> blocks;
  const std::vector<TensorView> views = model.interface.feeds.complete(inputs.views, blocks);
  auto tape = model.model->run(views.data(), views.size(), model.threads, record, cancel);
  check_torch_outputs(*tape, model.interface.outputs, model.model->name());
  return tape;
}

NamedInputs read_inputs(InputReader& reader, const Napi::Value& value, const CountedTorchModel& model) {
  const Napi::Object given = read_object(value, "inputs");
  NamedInputs inputs;
  for (const ValueInfo& input : model.interface.inputs) {
    if (!given.Has(input.name)) throw_invalid("inputs." + input.name, "a tensor", given.Get(input.name));
    inputs.views.push_back(read_tensor(reader, given.Get(input.name), "inputs." + input.name, inputs.copies));
  }
  return inputs;
}

/// A copy: the tape's memory may be the model's own, and belongs to libtorch.
TensorValue copy_output(const TorchTape& tape, size_t output) {
  TensorValue value;
  value.type = tape.info(output).type;
  value.shape = tape.info(output).shape;
  const size_t bytes = element_count(value.shape) * type_size(value.type);
  value.data = HostBlock(bytes);
  if (bytes > 0) std::memcpy(value.data.data(), tape.data(output), bytes);
  return value;
}

using NamedValues = std::vector<std::pair<std::string, TensorValue>>;

NamedValues copy_outputs(const TorchTape& tape) {
  NamedValues values;
  for (size_t k = 0; k < tape.output_count(); ++k)
    values.emplace_back(tape.info(k).name, copy_output(tape, k));
  return values;
}

Napi::Object to_object(Napi::Env env, NamedValues& values) {
  Napi::Object object = Napi::Object::New(env);
  for (auto& [name, value] : values) object.Set(name, to_tensor(env, std::move(value)));
  return object;
}

bool differentiable(const ValueInfo& input) {
  return input.type == ort::ElementType::float32 || input.type == ort::ElementType::float64;
}

/// Shape of an output by its name; throws where a cotangent does not have it.
void check_cotangent(const TorchTape& tape, const std::string& name, const TensorView& cotangent) {
  for (size_t k = 0; k < tape.output_count(); ++k) {
    const ValueInfo& info = tape.info(k);
    if (info.name == name && info.shape != cotangent.shape)
      throw Error("ERR_SHAPE_MISMATCH", "cotangents." + name + ": expected the shape " + shape_text(info) +
                                            " of this output, got " + shape_text(cotangent.shape));
  }
}

struct Vjp {
  NamedValues outputs, gradients;
};

Vjp compute_vjp(const CountedTorchModel& model, const NamedInputs& inputs,
                const std::vector<std::pair<std::string, TensorView>>& cotangents,
                const CancelToken& cancel) {
  cancel.throw_if_cancelled();
  const auto tape = run_model(model, inputs, /*record=*/true, cancel);
  cancel.throw_if_cancelled();
  std::vector<const float*> seeds(tape->output_count(), nullptr);
  for (const auto& [name, cotangent] : cotangents) {
    check_cotangent(*tape, name, cotangent);
    for (size_t k = 0; k < tape->output_count(); ++k)
      if (tape->info(k).name == name) seeds[k] = static_cast<const float*>(cotangent.data);
  }
  Vjp result;
  std::vector<float*> targets(inputs.views.size(), nullptr);
  for (size_t i = 0; i < inputs.views.size(); ++i) {
    const ValueInfo& input = model.interface.inputs[i];
    if (!differentiable(input)) continue;
    TensorValue gradient;
    gradient.type = ort::ElementType::float32;
    gradient.shape = inputs.views[i].shape;
    gradient.data = HostBlock(element_count(gradient.shape) * sizeof(float));
    targets[i] = gradient.data.floats();
    result.gradients.emplace_back(input.name, std::move(gradient));
  }
  result.outputs = copy_outputs(*tape);
  tape->backward(seeds.data(), model.interface.feeds.spread(targets).data(), model.threads, cancel);
  return result;
}

TorchOpening read_opening(const Napi::Value& options) {
  TorchOpening opening;
  if (absent(options)) return opening;
  const Fields fields(options, "options");
  if (fields.has("cudaDevice")) opening.device = static_cast<int>(fields.size("cudaDevice", 0, 127));
  fields.optional("allowCode", opening.trusted);
  return opening;
}

/// A model as a job's result.
MakeValue probed(std::shared_ptr<const TorchModel> model, const GivenShapes& shapes,
                 const GivenConstants& constants, int threads, const CancelToken& cancel) {
  const auto counted = std::make_shared<CountedTorchModel>();
  counted->threads = threads;
  counted->model = std::move(model);
  counted->constants = constants;
  counted->interface = probe_torch_model(*counted->model, shapes, constants, threads, cancel);
  return [counted](Napi::Env env) -> Napi::Value {
    return TorchModelObject::make(env, counted, counted->model->parameter_bytes());
  };
}

}  // namespace

Napi::Function TorchModelObject::define(Napi::Env env) {
  return DefineClass(env, "NativeTorchModel",
                     {InstanceMethod<&TorchModelObject::run>("run", napi_enumerable),
                      InstanceMethod<&TorchModelObject::vjp>("vjp", napi_enumerable),
                      InstanceMethod<&TorchModelObject::with_features>("withFeatures", napi_enumerable),
                      InstanceMethod<&TorchModelObject::dispose_it>("dispose", napi_enumerable)});
}

TorchModelObject::TorchModelObject(const Napi::CallbackInfo& info) : NativeObject(info) {
  Napi::Object self = info.This().As<Napi::Object>();
  const auto model = live();
  self.Set("inputs", describe_values(info.Env(), model->interface.inputs));
  self.Set("outputs", describe_values(info.Env(), model->interface.outputs));
  self.Set("summary", model->model->summary());
}

Napi::Value TorchModelObject::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const ModelSource source = ModelSource::read(info, reader);
    const GivenShapes shapes = read_given_shapes(info[1]);
    const GivenConstants constants = read_constants(info[1]);
    const TorchOpening opening = read_opening(info[1]);
    const auto work = [source, shapes, constants, opening](Job& job) -> MakeValue {
      const std::string& name = source.config.name;
      auto model = source.path.empty() ? TorchModel::from_bytes(source.bytes.data, source.bytes.size, name,
                                                                opening, job.token())
                                       : TorchModel::from_file(source.path, name, opening, job.token());
      return probed(std::move(model), shapes, constants, source.config.threads, job.token());
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TorchModelObject::run(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto model = live();
    InputReader reader;
    const auto inputs = std::make_shared<const NamedInputs>(read_inputs(reader, info[0], *model));
    const auto work = [model, inputs](Job& job) -> MakeValue {
      job.token().throw_if_cancelled();
      const auto tape = run_model(*model, *inputs, /*record=*/false, job.token());
      const auto outputs = std::make_shared<NamedValues>(copy_outputs(*tape));
      return [outputs](Napi::Env env) -> Napi::Value { return to_object(env, *outputs); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TorchModelObject::vjp(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto model = live();
    InputReader reader;
    const auto inputs = std::make_shared<NamedInputs>(read_inputs(reader, info[0], *model));
    const Napi::Object given = read_object(info[1], "cotangents");
    std::vector<std::pair<std::string, TensorView>> cotangents;
    const Napi::Array names = given.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string name = names.Get(i).ToString().Utf8Value();
      const std::string place = "cotangents." + name;
      cotangents.emplace_back(name, read_tensor(reader, given.Get(name), place, inputs->copies));
      if (cotangents.back().second.type != ort::ElementType::float32)
        throw_invalid(place + ".data", "a Float32Array", given.Get(name));
    }
    const auto work = [model, inputs, cotangents](Job& job) -> MakeValue {
      const auto result = std::make_shared<Vjp>(compute_vjp(*model, *inputs, cotangents, job.token()));
      return [result](Napi::Env env) -> Napi::Value {
        Napi::Object object = Napi::Object::New(env);
        object.Set("outputs", to_object(env, result->outputs));
        object.Set("gradients", to_object(env, result->gradients));
        return object;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TorchModelObject::with_features(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto model = live();
    const std::string output = read_text(info[0], "output");
    const std::string features = absent(info[1]) ? "" : read_text(info[1], "features");
    const auto work = [model, output, features](Job& job) -> MakeValue {
      GivenShapes shapes;
      for (const ValueInfo& input : model->interface.inputs) shapes[input.name] = input.shape;
      return probed(model->model->with_features(output, features), shapes, model->constants, model->threads,
                    job.token());
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
