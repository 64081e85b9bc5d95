#include "emulator/provider/ep.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "emulator/provider/compute.h"
#include "emulator/provider/crossings.h"
#include "emulator/provider/streams.h"
#include "emulator/provider/switches.h"

namespace tr0n::provider {
namespace {

const Api& api() { return Runtime::get().api; }

std::string option(const SessionOptions* options, const std::string& name) {
  std::string key = std::string("ep.") + kName + "." + name;
  std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return std::tolower(c); });
  int there = 0;
  check(api().HasSessionConfigEntry(options, key.c_str(), &there));
  if (there == 0) return "";
  char text[64] = {};
  size_t size = sizeof text;
  check(api().GetSessionConfigEntry(options, key.c_str(), text, &size));
  return text;
}

std::string text_of(const Node* node, Status* (*get)(const Node*, const char**)) {
  const char* text = nullptr;
  check(get(node, &text));
  return text == nullptr ? "" : text;
}

/// The nodes that can be compiled together: between two of a group no other lies.
std::map<size_t, std::vector<const Node*>> groups(const Graph* graph) {
  struct Made {
    size_t stage;
    bool taken;
  };
  std::map<std::string, Made> values;
  std::map<size_t, std::vector<const Node*>> result;
  for (const Node* node : all<Node>(graph, api().Graph_GetNumNodes, api().Graph_GetNodes)) {
    const std::string type = text_of(node, api().Node_GetOperatorType);
    const std::string reason = refused(type) ? "refused on purpose" : obstacle(node);
    const bool taken = reason.empty();
    if (!taken) count_left(type + " " + text_of(node, api().Node_GetName) + ": " + reason);
    // A path out of a group and back into it passes through nodes of the other sort: each change is a stage.
    size_t stage = 0;
    const auto after = [&](const ValueInfo* value) {
      const auto found = values.find(name_of(value));
      if (found != values.end())
        stage = std::max(stage, found->second.stage + (found->second.taken != taken ? 1 : 0));
    };
    for (const ValueInfo* value : all<ValueInfo>(node, api().Node_GetNumInputs, api().Node_GetInputs))
      after(value);
    for (const ValueInfo* value :
         all<ValueInfo>(node, api().Node_GetNumImplicitInputs, api().Node_GetImplicitInputs))
      after(value);
    for (const ValueInfo* value : all<ValueInfo>(node, api().Node_GetNumOutputs, api().Node_GetOutputs))
      values[name_of(value)] = {stage, taken};
    if (taken) result[stage].push_back(node);
  }
  return result;
}

class Provider final : public Ep {
 public:
  explicit Provider(const SessionOptions* options)
      : held_(gpu_of(options)), own_(std::make_shared<const OwnStream>(held_.gpu)) {
    if (option(options, "has_user_compute_stream") == "1")
      user_ = reinterpret_cast<cuda::CUstream>(std::stoull(option(options, "user_compute_stream")));
    GetName = [](const Ep*) { return kName; };
    GetCapability = [](Ep*, const Graph* graph, GraphSupport* support) {
      return guarded([&] { claim(graph, support); });
    };
    Ep::Compile = [](Ep* self, const Graph** graphs, const Node** fused, size_t count, ComputeInfo** made,
                     Node**) {
      return guarded([&] { static_cast<Provider*>(self)->compile(graphs, fused, count, made); });
    };
    ReleaseNodeComputeInfos = [](Ep*, ComputeInfo** made, size_t count) {
      for (size_t k = 0; k < count; ++k) release_compute(made[k]);
    };
    GetKernelRegistry = [](Ep*, const KernelRegistry** registry) {
      return guarded([&] { *registry = crossings(); });
    };
    OnRunEnd = [](Ep* self, const RunOptions*, bool synchronise) {
      return guarded([&] {
        if (synchronise) static_cast<Provider*>(self)->synchronise();
      });
    };
    CreateSyncStreamForDevice = [](Ep* self, const MemoryDevice*, SyncStreamTable** made) {
      return guarded([&] {
        const auto& provider = *static_cast<Provider*>(self);
        *made = make_stream(provider.held_.gpu,
                            provider.user_ != nullptr ? provider.user_ : provider.own_->handle());
      });
    };
  }

 private:
  static int gpu_of(const SessionOptions* options) {
    const std::string text = option(options, "device_id");
    return text.empty() ? 0 : std::stoi(text);
  }

  static void claim(const Graph* graph, GraphSupport* support) {
    const Node* parent = nullptr;
    check(api().Graph_GetParentNode(graph, &parent));
    // The graphs inside of a node are compiled with it.
    if (parent != nullptr) return;
    const FusionOptions options;
    for (const auto& [stage, nodes] : groups(graph))
      check(
          Runtime::get().ep.EpGraphSupportInfo_AddNodesToFuse(support, nodes.data(), nodes.size(), &options));
  }

  void compile(const Graph** graphs, const Node** fused, size_t count, ComputeInfo** made) const {
    for (size_t k = 0; k < count; ++k) {
      size_t nodes = 0;
      check(api().Graph_GetNumNodes(graphs[k], &nodes));
      made[k] = make_compute(held_.gpu, write_part(graphs[k], fused[k]), own_);
      count_part(nodes);
    }
  }

  void synchronise() const {
    const Current current(held_.gpu);
    const cuda::CUstream stream = user_ != nullptr ? user_ : own_->handle();
    driver(cuda::cuStreamSynchronize(stream), "cuStreamSynchronize");
  }

  const Held held_;
  const std::shared_ptr<const OwnStream> own_;
  cuda::CUstream user_ = nullptr;
};

}  // namespace

Ep* make_ep(const SessionOptions* options) { return new Provider(options); }
void release_ep(Ep* ep) { delete static_cast<Provider*>(ep); }

}  // namespace tr0n::provider
