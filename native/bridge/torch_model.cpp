#include "bridge/torch_model.h"

#include "bridge/session_options.h"
#include "bridge/weight_file.h"

namespace tr0n {
namespace {

/// What a function of the module reported. The strings are its own until fail() returns: they are copied.
struct Report {
  std::string code, message;
  tr0n_torch_errors errors() {
    return {this, [](void* context, const char* error_code, const char* text) {
              auto& report = *static_cast<Report*>(context);
              report.code = error_code;
              report.message = text;
            }};
  }
  void check(int failed) const {
    if (failed != 0) throw Error(code.empty() ? "ERR_INTERNAL" : code, message);
  }
};

ValueInfo describe(const tr0n_torch_value_info& info) {
  ValueInfo value;
  value.name = info.name;
  value.tensor = true;
  value.type = static_cast<ort::ElementType>(info.element_type);
  if (info.rank > 0) value.shape.assign(info.shape, info.shape + info.rank);
  value.symbols.resize(value.shape.size());
  return value;
}

/// A token as libtorch's side asks for it.
tr0n_torch_cancel cancel_of(const CancelToken& token) {
  return {const_cast<CancelToken*>(&token),
          [](void* context) { return static_cast<const CancelToken*>(context)->cancelled() ? 1 : 0; }};
}

tr0n_torch_tensor float_tensor(const void* data, const std::vector<int64_t>& shape) {
  return {const_cast<void*>(data), shape.data(), static_cast<int32_t>(shape.size()),
          static_cast<int32_t>(ort::ElementType::float32), TorchModel::kHost};
}

}  // namespace

TorchTape::TorchTape(std::shared_ptr<const TorchModel> model, TorchTapeHandle tape)
    : model_(std::move(model)), tape_(std::move(tape)) {
  const tr0n_torch_api& api = TorchRuntime::instance().api();
  const int32_t count = api.output_count(tape_.get());
  for (int32_t k = 0; k < count; ++k) {
    tr0n_torch_value_info info{};
    const void* data = nullptr;
    api.output(tape_.get(), k, &info, &data);
    outputs_.push_back({describe(info), data});
  }
}

TorchWork TorchTape::work() const {
  TorchWork work;
  TorchRuntime::instance().api().work(tape_.get(), &work.flops, &work.operators);
  return work;
}

void TorchTape::backward(const float* const* cotangents, float* const* gradients, int threads,
                         const CancelToken& cancel, bool keep) {
  std::vector<tr0n_torch_tensor> seeds, targets;
  for (size_t k = 0; k < outputs_.size(); ++k)
    seeds.push_back(float_tensor(cotangents[k], outputs_[k].info.shape));
  for (size_t i = 0; i < input_shapes_.size(); ++i)
    targets.push_back(float_tensor(gradients[i], input_shapes_[i]));
  const TorchCall call;
  Report report;
  const tr0n_torch_errors errors = report.errors();
  const tr0n_torch_cancel token = cancel_of(cancel);
  report.check(TorchRuntime::instance().api().backward(tape_.get(), seeds.data(), threads, keep ? 1 : 0,
                                                       targets.data(), &token, &errors));
}

std::shared_ptr<const TorchModel> TorchModel::from_file(const std::string& path, const std::string& name,
                                                        const TorchOpening& opening,
                                                        const CancelToken& cancel) {
  const std::string what = model_file_name(path, name);
  const OpenedFile file(path, what);
  const WeightRange bytes = WeightFile::of(file)->range(file, 0, file.size(), what);
  file.check_unchanged();
  return from_bytes(bytes.get(), file.size(), name, opening, cancel);
}

std::shared_ptr<const TorchModel> TorchModel::from_bytes(const void* bytes, size_t size,
                                                         const std::string& name, const TorchOpening& opening,
                                                         const CancelToken& cancel) {
  const tr0n_torch_api& api = TorchRuntime::instance().api();
  const TorchCall call;
  Report report;
  const tr0n_torch_errors errors = report.errors();
  const tr0n_torch_cancel token = cancel_of(cancel);
  tr0n_torch_model* model = nullptr;
  report.check(api.open_model(bytes, size, name.c_str(), opening.device, opening.trusted ? 1 : 0, &token,
                              &model, &errors));
  return std::shared_ptr<const TorchModel>(new TorchModel(TorchModelHandle(model), name));
}

std::shared_ptr<const TorchModel> TorchModel::with_features(const std::string& output,
                                                            const std::string& features) const {
  const TorchCall call;
  Report report;
  const tr0n_torch_errors errors = report.errors();
  tr0n_torch_model* derived = nullptr;
  report.check(TorchRuntime::instance().api().with_features(model_.get(), output.c_str(), features.c_str(),
                                                            &derived, &errors));
  return std::shared_ptr<const TorchModel>(new TorchModel(TorchModelHandle(derived), name_));
}

std::string TorchModel::summary() const { return TorchRuntime::instance().api().summary(model_.get()); }

TorchModel::TorchModel(TorchModelHandle model, std::string name)
    : model_(std::move(model)), name_(std::move(name)) {
  const tr0n_torch_api& api = TorchRuntime::instance().api();
  const int32_t count = api.input_count(model_.get());
  for (int32_t i = 0; i < count; ++i) {
    tr0n_torch_value_info info{};
    api.input(model_.get(), i, &info);
    inputs_.push_back(describe(info));
  }
  parameter_bytes_ = api.parameter_bytes(model_.get());
}

std::unique_ptr<TorchTape> TorchModel::run(const TensorView* inputs, size_t count, int threads, bool record,
                                           const CancelToken& cancel, TorchWanted wanted) const {
  std::vector<tr0n_torch_tensor> tensors;
  std::vector<std::vector<int64_t>> shapes;
  for (size_t i = 0; i < count; ++i) {
    const TensorView& view = inputs[i];
    element_count(view.shape);  // throws where such a tensor cannot be
    tensors.push_back({const_cast<void*>(view.data), view.shape.data(),
                       static_cast<int32_t>(view.shape.size()), static_cast<int32_t>(view.type), kHost});
    shapes.push_back(view.shape);
  }
  const tr0n_torch_api& api = TorchRuntime::instance().api();
  const TorchCall call;
  Report report;
  const tr0n_torch_errors errors = report.errors();
  const tr0n_torch_cancel token = cancel_of(cancel);
  tr0n_torch_tape* raw = nullptr;
  report.check(api.run(model_.get(), tensors.data(), static_cast<int32_t>(count), threads,
                       (record ? TR0N_TORCH_RECORD : 0) | static_cast<int32_t>(wanted), &token, &raw,
                       &errors));
  std::unique_ptr<TorchTape> tape(new TorchTape(shared_from_this(), TorchTapeHandle(raw)));
  tape->input_shapes_ = std::move(shapes);
  return tape;
}

}  // namespace tr0n
