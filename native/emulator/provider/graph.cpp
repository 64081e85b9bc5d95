#include "emulator/provider/graph.h"

#include <set>

#include "emulator/provider/protobuf.h"

// Fields by their numbers in onnx.proto.
namespace tr0n::provider {
namespace {

const Api& api() { return Runtime::get().api; }

constexpr int kInt32 = 6, kInt64 = 7;

/// The element type, or 0 for what is no tensor.
int element_type(const ValueInfo* value) {
  const TypeInfo* type = nullptr;
  check(api().GetValueInfoTypeInfo(value, &type));
  int kind = 0, element = 0;
  if (type == nullptr) return 0;
  check(api().GetOnnxTypeFromTypeInfo(type, &kind));
  if (kind != kIsTensor) return 0;
  const TensorInfo* info = nullptr;
  check(api().CastTypeInfoToTensorInfo(type, &info));
  check(api().GetTensorElementType(info, &element));
  return element;
}

/// A ValueInfoProto. A shape of no dimensions may be an unknown one, which is said by leaving it out.
Message value_info(const ValueInfo* value, bool with_shape) {
  const TypeInfo* type = nullptr;
  const TensorInfo* info = nullptr;
  check(api().GetValueInfoTypeInfo(value, &type));
  check(api().CastTypeInfoToTensorInfo(type, &info));
  Message tensor, shape, type_proto, result;
  tensor.integer(1, element_type(value));
  size_t rank = 0;
  check(api().GetDimensionsCount(info, &rank));
  if (rank > 0 && with_shape) {
    std::vector<int64_t> sizes(rank);
    std::vector<const char*> names(rank);
    check(api().GetDimensions(info, sizes.data(), rank));
    check(api().GetSymbolicDimensions(info, names.data(), rank));
    for (size_t axis = 0; axis < rank; ++axis) {
      Message dimension;
      if (sizes[axis] >= 0)
        dimension.integer(1, sizes[axis]);
      else if (names[axis] != nullptr && *names[axis] != '\0')
        dimension.bytes(2, names[axis]);
      shape.message(1, dimension);
    }
    tensor.message(2, shape);
  }
  type_proto.message(1, tensor);
  result.bytes(1, name_of(value));
  result.message(2, type_proto);
  return result;
}

/// A TensorProto.
Message tensor(const std::string& name, const Value* value) {
  const Description description = describe(value);
  const void* data = nullptr;
  check(api().GetTensorData(value, &data));
  Message result;
  for (const int64_t size : description.shape) result.integer(1, size);
  result.integer(2, description.type);
  result.bytes(8, name);
  result.bytes(9, {static_cast<const char*>(data), description.bytes});
  return result;
}

template <class T>
std::vector<T> read(const Attribute* attribute, AttributeType type) {
  size_t bytes = 0;
  // The first call says how many bytes there are, by a failure that is none.
  if (Status* status = api().ReadOpAttr(attribute, static_cast<int>(type), nullptr, 0, &bytes))
    api().ReleaseStatus(status);
  std::vector<T> values((bytes + sizeof(T) - 1) / sizeof(T));
  if (bytes > 0) check(api().ReadOpAttr(attribute, static_cast<int>(type), values.data(), bytes, &bytes));
  return values;
}

AttributeType type_of(const Attribute* attribute) {
  int type = 0;
  check(api().OpAttr_GetType(attribute, &type));
  return static_cast<AttributeType>(type);
}

Message graph_proto(const Graph* graph, std::vector<const ValueInfo*> inputs,
                    std::vector<const ValueInfo*> outputs, std::set<std::string>& written);

/// An AttributeProto. Its type's number is not ONNX Runtime's.
Message attribute_proto(const Attribute* attribute) {
  const char* name = nullptr;
  check(api().OpAttr_GetName(attribute, &name));
  Message result;
  result.bytes(1, name);
  const AttributeType type = type_of(attribute);
  switch (type) {
    case AttributeType::integer:
      result.integer(3, read<int64_t>(attribute, type).at(0));
      result.integer(20, 2);
      break;
    case AttributeType::integers:
      for (const int64_t value : read<int64_t>(attribute, type)) result.integer(8, value);
      result.integer(20, 7);
      break;
    case AttributeType::number:
      result.number(2, read<float>(attribute, type).at(0));
      result.integer(20, 1);
      break;
    case AttributeType::numbers:
      for (const float value : read<float>(attribute, type)) result.number(7, value);
      result.integer(20, 6);
      break;
    case AttributeType::string: {
      const std::vector<char> text = read<char>(attribute, type);
      result.bytes(4, {text.data(), text.size()});
      result.integer(20, 3);
      break;
    }
    case AttributeType::strings: {
      const std::vector<char> text = read<char>(attribute, type);  // each ends with a zero
      for (size_t at = 0; at < text.size();) {
        const std::string_view one(text.data() + at);
        result.bytes(9, one);
        at += one.size() + 1;
      }
      result.integer(20, 8);
      break;
    }
    case AttributeType::tensor: {
      Value* value = nullptr;
      check(api().OpAttr_GetTensorAttributeAsOrtValue(attribute, &value));
      const OwnedValue owned(value);
      result.message(5, tensor("", value));
      result.integer(20, 4);
      break;
    }
    default:
      throw Failure(std::string("attribute ") + name + " is of a type that is not written");
  }
  return result;
}

struct Subgraph {
  std::string attribute;
  const Graph* graph;
};

std::vector<Subgraph> subgraphs(const Node* node) {
  size_t count = 0;
  check(api().Node_GetNumSubgraphs(node, &count));
  std::vector<const Graph*> graphs(count);
  std::vector<const char*> names(count);
  if (count > 0) check(api().Node_GetSubgraphs(node, graphs.data(), count, names.data()));
  std::vector<Subgraph> result;
  for (size_t k = 0; k < count; ++k) result.push_back({names[k], graphs[k]});
  return result;
}

std::vector<const ValueInfo*> inputs_of(const Node* node) {
  return all<ValueInfo>(node, api().Node_GetNumInputs, api().Node_GetInputs);
}
std::vector<const ValueInfo*> outputs_of(const Node* node) {
  return all<ValueInfo>(node, api().Node_GetNumOutputs, api().Node_GetOutputs);
}
std::vector<const ValueInfo*> implicit_inputs_of(const Node* node) {
  return all<ValueInfo>(node, api().Node_GetNumImplicitInputs, api().Node_GetImplicitInputs);
}

std::string text_of(const Node* node, Status* (*get)(const Node*, const char**)) {
  const char* text = nullptr;
  check(get(node, &text));
  return text == nullptr ? "" : text;
}

Message node_proto(const Node* node, std::set<std::string>& written) {
  Message result;
  for (const ValueInfo* input : inputs_of(node)) result.bytes(1, name_of(input));
  for (const ValueInfo* output : outputs_of(node)) result.bytes(2, name_of(output));
  result.bytes(3, text_of(node, api().Node_GetName));
  result.bytes(4, text_of(node, api().Node_GetOperatorType));
  for (const Attribute* attribute :
       all<Attribute>(node, api().Node_GetNumAttributes, api().Node_GetAttributes))
    if (type_of(attribute) != AttributeType::graph) result.message(5, attribute_proto(attribute));
  for (const auto& [attribute, graph] : subgraphs(node)) {
    Message proto;
    proto.bytes(1, attribute);
    proto.message(
        6, graph_proto(graph, all<ValueInfo>(graph, api().Graph_GetNumInputs, api().Graph_GetInputs),
                       all<ValueInfo>(graph, api().Graph_GetNumOutputs, api().Graph_GetOutputs), written));
    proto.integer(20, 5);
    result.message(5, proto);
  }
  result.bytes(7, text_of(node, api().Node_GetDomain));
  return result;
}

/// A GraphProto. `written`: the initialisers of this graph and of those around it.
Message graph_proto(const Graph* graph, std::vector<const ValueInfo*> inputs,
                    std::vector<const ValueInfo*> outputs, std::set<std::string>& written) {
  Message result;
  std::set<std::string> given;
  for (const ValueInfo* input : inputs) given.insert(name_of(input));
  const auto add = [&](const ValueInfo* value) {
    if (value == nullptr || given.count(name_of(value)) > 0 || written.count(name_of(value)) > 0) return;
    const Value* data = nullptr;
    check(api().ValueInfo_GetInitializerValue(value, &data));
    if (data == nullptr) return;
    written.insert(name_of(value));
    result.message(5, tensor(name_of(value), data));
  };
  for (const ValueInfo* value :
       all<ValueInfo>(graph, api().Graph_GetNumInitializers, api().Graph_GetInitializers))
    add(value);
  for (const Node* node : all<Node>(graph, api().Graph_GetNumNodes, api().Graph_GetNodes)) {
    // What a part of a graph takes from around it.
    for (const ValueInfo* value : inputs_of(node)) add(value);
    for (const ValueInfo* value : implicit_inputs_of(node)) add(value);
    result.message(1, node_proto(node, written));
  }
  const char* name = nullptr;
  check(api().Graph_GetName(graph, &name));
  result.bytes(2, name != nullptr && *name != '\0' ? name : "part");
  for (const ValueInfo* input : inputs) result.message(11, value_info(input, true));
  for (const ValueInfo* output : outputs) result.message(12, value_info(output, false));
  return result;
}

bool is_tensor(const ValueInfo* value) {
  if (value == nullptr || name_of(value).empty()) return true;
  const int type = element_type(value);
  return type != 0 && type != kString;
}

}  // namespace

std::string obstacle(const Node* node) {
  for (const ValueInfo* value : inputs_of(node))
    if (!is_tensor(value)) return "an input is no tensor of numbers";
  for (const ValueInfo* value : outputs_of(node))
    if (!is_tensor(value)) return "an output is no tensor of numbers";
  for (const Attribute* attribute :
       all<Attribute>(node, api().Node_GetNumAttributes, api().Node_GetAttributes))
    if (type_of(attribute) == AttributeType::none) return "an attribute is of a type that is not written";
  for (const auto& subgraph : subgraphs(node))
    for (const Node* inner : all<Node>(subgraph.graph, api().Graph_GetNumNodes, api().Graph_GetNodes))
      if (std::string reason = obstacle(inner); !reason.empty()) return reason;
  return "";
}

Part write_part(const Graph* graph, const Node* fused) {
  Part part;
  std::vector<const ValueInfo*> inputs = inputs_of(fused), outputs = outputs_of(fused);
  for (const ValueInfo* value : implicit_inputs_of(fused)) inputs.push_back(value);
  for (const ValueInfo* value : inputs) {
    part.inputs.push_back(name_of(value));
    const int type = element_type(value);
    part.integer_input = part.integer_input || type == kInt32 || type == kInt64;
  }
  for (const ValueInfo* value : outputs) part.outputs.push_back(name_of(value));

  Message model;
  int64_t version = 0;
  check(api().Graph_GetOnnxIRVersion(graph, &version));
  model.integer(1, version);
  model.bytes(2, "tr0n-test-provider");
  std::set<std::string> written;
  model.message(7, graph_proto(graph, inputs, outputs, written));
  size_t sets = 0;
  check(api().Graph_GetNumOperatorSets(graph, &sets));
  std::vector<const char*> domains(sets);
  std::vector<int64_t> versions(sets);
  check(api().Graph_GetOperatorSets(graph, domains.data(), versions.data(), sets));
  for (size_t k = 0; k < sets; ++k) {
    Message set;
    set.bytes(1, domains[k]);
    set.integer(2, versions[k]);
    model.message(8, set);
  }
  part.model = model.text();
  return part;
}

}  // namespace tr0n::provider
