#include "bridge/editor_session.h"

#include <algorithm>
#include <string>

namespace tr0n {

using ort::Runtime;

namespace {

/// Inputs of the session's model that are no weights.
std::vector<ort::ValueNameHandle> other_inputs(const ort::EditorApi& editor, ort::RawSession* session,
                                               const std::vector<FileWeight>& weights) {
  Runtime& runtime = Runtime::instance();
  const ort::Api& api = runtime.api();
  size_t count = 0;
  ort::check(api, api.SessionGetInputCount(session, &count));
  std::vector<ort::ValueNameHandle> inputs;
  for (size_t i = 0; i < count; ++i) {
    char* raw_name = nullptr;
    ort::check(api, api.SessionGetInputName(session, i, runtime.allocator(), &raw_name));
    const std::string name = raw_name;
    ort::check(api, api.AllocatorFree(runtime.allocator(), raw_name));
    if (std::any_of(weights.begin(), weights.end(), [&](const auto& weight) { return weight.name == name; }))
      continue;
    ort::TypeInfo* raw_type = nullptr;
    ort::check(api, api.SessionGetInputTypeInfo(session, i, &raw_type));
    const ort::TypeInfoHandle type(raw_type);
    ort::ValueName* input = nullptr;
    ort::check(api, editor.CreateValueName(name.c_str(), raw_type, &input), "ERR_MODEL_UNSUPPORTED");
    inputs.emplace_back(input);
  }
  return inputs;
}

/// What is to be changed in the model: the weights are constants instead of inputs.
ort::ModelHandle changes(const ort::EditorApi& editor, ort::RawSession* session,
                         const std::vector<FileWeight>& weights, const SharedWeights& shared) {
  const ort::Api& api = Runtime::instance().api();
  ort::Graph* raw_graph = nullptr;
  ort::check(api, editor.CreateGraph(&raw_graph));
  ort::GraphHandle graph(raw_graph);
  std::vector<ort::ValueNameHandle> inputs = other_inputs(editor, session, weights);
  std::vector<ort::ValueName*> names;
  names.reserve(inputs.size());
  for (auto& input : inputs) names.push_back(input.get());
  ort::check(api, editor.SetGraphInputs(graph.get(), names.data(), names.size()));
  for (auto& input : inputs) static_cast<void>(input.release());  // the graph's now
  for (size_t i = 0; i < weights.size(); ++i) {
    ort::ValueHandle value = shared.value(i);
    ort::check(api, editor.AddInitializerToGraph(graph.get(), weights[i].name.c_str(), value.get(),
                                                 /*data_is_external=*/true));
    static_cast<void>(value.release());
  }
  ort::Model* raw_model = nullptr;
  ort::check(api, editor.CreateModel(nullptr, nullptr, 0, &raw_model));
  ort::ModelHandle model(raw_model);
  ort::check(api, editor.AddGraphToModel(model.get(), graph.get()));
  static_cast<void>(graph.release());
  return model;
}

}  // namespace

ort::Status* open_with_weights(const void* bytes, size_t size, PreparedOptions& options,
                               const std::vector<FileWeight>& weights, ort::RawSession** session) {
  Runtime& runtime = Runtime::instance();
  void* const* table = runtime.api().GetModelEditorApi();
  if (!table)
    throw Error("ERR_RUNTIME_MISSING",
                "this build of ONNX Runtime cannot take weights from memory (a minimal build); "
                "TR0N_ONNXRUNTIME names another copy");
  const ort::EditorApi editor(table);
  const ort::SessionOptions* raw = options.options.get();
  *session = nullptr;
  ort::Status* status = editor.CreateModelEditorSessionFromArray(runtime.env(), bytes, size, raw, session);
  if (status) return status;
  ort::SessionHandle opened(*session);
  {
    const ort::ModelHandle model = changes(editor, opened.get(), weights, *options.weights);
    options.weights.reset();  // what the session lets go of is gone then
    status = editor.ApplyModelToModelEditorSession(opened.get(), model.get());
  }
  if (!status) status = editor.FinalizeModelEditorSession(opened.get(), raw, options.packed.get());
  *session = status ? nullptr : opened.release();
  return status;
}

}  // namespace tr0n
