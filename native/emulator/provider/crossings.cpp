#include "emulator/provider/crossings.h"

#include "emulator/provider/ep.h"
#include "emulator/provider/gpu.h"
#include "emulator/provider/memory.h"
#include "emulator/provider/runtime.h"

namespace tr0n::provider {
namespace {

struct Crossing final : Kernel {
  Crossing() {
    Compute = [](Kernel*, KernelContext* context) {
      return guarded([&] {
        const Api& api = Runtime::get().api;
        const Value* from = nullptr;
        Value* to = nullptr;
        void* stream = nullptr;
        check(api.KernelContext_GetInput(context, 0, &from));
        const Description d = describe(from);
        check(api.KernelContext_GetOutput(context, 0, d.shape.data(), d.shape.size(), &to));
        check(api.KernelContext_GetGPUComputeStream(context, &stream));
        copy(from, to, stream);
      });
    };
    Release = [](Kernel* self) { delete static_cast<Crossing*>(self); };
  }
};

void add(KernelRegistry* registry, const char* type, bool from_host) {
  const EpApi& ep = Runtime::get().ep;
  KernelBuilder* builder = nullptr;
  check(ep.CreateKernelDefBuilder(&builder));
  const std::unique_ptr<KernelBuilder, void (*)(KernelBuilder*)> owned(builder, ep.ReleaseKernelDefBuilder);
  check(ep.KernelDefBuilder_SetOperatorType(builder, type));
  check(ep.KernelDefBuilder_SetDomain(builder, ""));
  check(ep.KernelDefBuilder_SetSinceVersion(builder, 1, 1));
  check(ep.KernelDefBuilder_SetExecutionProvider(builder, kName));
  check(from_host ? ep.KernelDefBuilder_SetInputMemType(builder, 0, kHostInput)
                  : ep.KernelDefBuilder_SetOutputMemType(builder, 0, kHostOutput));
  std::vector<const DataType*> types;
  for (int element = 1; element <= 13; ++element) {
    if (element == kString) continue;
    const DataType* data_type = nullptr;
    check(ep.GetTensorDataType(element, &data_type));
    types.push_back(data_type);
  }
  check(ep.KernelDefBuilder_AddTypeConstraint(builder, "T", types.data(), types.size()));
  KernelDefinition* definition = nullptr;
  check(ep.KernelDefBuilder_Build(builder, &definition));
  const std::unique_ptr<KernelDefinition, void (*)(KernelDefinition*)> built(definition, ep.ReleaseKernelDef);
  check(ep.KernelRegistry_AddKernel(
      registry, definition,
      [](void*, const KernelInfo*, Kernel** made) -> Status* {
        *made = new Crossing;
        return nullptr;
      },
      nullptr));
}

}  // namespace

const KernelRegistry* crossings() {
  // Never released: it belongs to the library.
  static const KernelRegistry* registry = [] {
    KernelRegistry* made = nullptr;
    check(Runtime::get().ep.CreateKernelRegistry(&made));
    add(made, "MemcpyFromHost", true);
    add(made, "MemcpyToHost", false);
    return made;
  }();
  return registry;
}

}  // namespace tr0n::provider
