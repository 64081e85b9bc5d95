#pragma once
#include <cstddef>
#include <cstdint>

/// The part of ONNX Runtime's interface for plug-in execution providers that the test double implements and
/// calls: facts of its ABI (version 24, 2026). Tables only ever grow at their end, so an entry is its index
/// and its signature; a provider's own tables are structures of function pointers in ONNX Runtime's order.
namespace tr0n::provider {

constexpr uint32_t kAbi = 24;

struct Env;
struct Status;
struct MemoryInfo;
struct RawSession;
struct Value;
struct RunOptions;
struct TypeInfo;
struct TensorInfo;
struct SessionOptions;
struct KernelContext;
struct Logger;
struct ValueInfo;
struct Node;
struct Graph;
struct Attribute;
struct KeyValuePairs;
struct HardwareDevice;
struct EpDevice;
struct GraphSupport;
struct MemoryDevice;
struct ComputeContext;
struct SyncStream;
struct KernelRegistry;
struct KernelBuilder;
struct KernelDefinition;
struct KernelInfo;
struct DataType;

struct Factory;
struct FusionOptions;
struct Kernel;
using CreateKernel = Status* (*)(void* state, const KernelInfo*, Kernel**);

enum class StatusCode : int { fail = 1, invalid_argument = 2, not_implemented = 9, ep_fail = 11 };
enum class DeviceType : int { cpu = 0, gpu = 1 };  ///< of memory
enum class AttributeType : int { none, integer, integers, number, numbers, string, strings, graph, tensor };

constexpr int kHardwareCpu = 0;
constexpr int kDefaultMemory = 0;
constexpr int kDeviceAllocator = 0;
constexpr int kIsTensor = 1;
constexpr int kString = 8;
constexpr int kHostInput = -2, kHostOutput = -1;  ///< memory of a kernel's input, and output

using LogFunction = void (*)(void*, int, const char*, const char*, const char*, const char*);

// clang-format off
/// ENTRY(index in the table, name, result, parameters)
#define TR0N_PROVIDER_API(ENTRY)                                                                             \
  ENTRY(0, CreateStatus, Status*, (int, const char*))                                                        \
  ENTRY(1, GetErrorCode, int, (const Status*))                                                               \
  ENTRY(2, GetErrorMessage, const char*, (const Status*))                                                    \
  ENTRY(4, CreateEnvWithCustomLogger, Status*, (LogFunction, void*, int, const char*, Env**))                \
  ENTRY(8, CreateSessionFromArray, Status*,                                                                  \
        (const Env*, const void*, size_t, const SessionOptions*, RawSession**))                              \
  ENTRY(9, Run, Status*,                                                                                     \
        (RawSession*, const RunOptions*, const char* const*, const Value* const*, size_t,                    \
         const char* const*, size_t, Value**))                                                               \
  ENTRY(10, CreateSessionOptions, Status*, (SessionOptions**))                                               \
  ENTRY(24, SetIntraOpNumThreads, Status*, (SessionOptions*, int))                                           \
  ENTRY(49, CreateTensorWithDataAsOrtValue, Status*,                                                         \
        (const MemoryInfo*, void*, size_t, const int64_t*, size_t, int, Value**))                            \
  ENTRY(51, GetTensorMutableData, Status*, (Value*, void**))                                                 \
  ENTRY(55, CastTypeInfoToTensorInfo, Status*, (const TypeInfo*, const TensorInfo**))                        \
  ENTRY(56, GetOnnxTypeFromTypeInfo, Status*, (const TypeInfo*, int*))                                       \
  ENTRY(60, GetTensorElementType, Status*, (const TensorInfo*, int*))                                        \
  ENTRY(61, GetDimensionsCount, Status*, (const TensorInfo*, size_t*))                                       \
  ENTRY(62, GetDimensions, Status*, (const TensorInfo*, int64_t*, size_t))                                   \
  ENTRY(63, GetSymbolicDimensions, Status*, (const TensorInfo*, const char**, size_t))                       \
  ENTRY(65, GetTensorTypeAndShape, Status*, (const Value*, TensorInfo**))                                    \
  ENTRY(69, CreateCpuMemoryInfo, Status*, (int, int, MemoryInfo**))                                          \
  ENTRY(88, KernelContext_GetInputCount, Status*, (const KernelContext*, size_t*))                           \
  ENTRY(90, KernelContext_GetInput, Status*, (const KernelContext*, size_t, const Value**))                  \
  ENTRY(91, KernelContext_GetOutput, Status*, (KernelContext*, size_t, const int64_t*, size_t, Value**))     \
  ENTRY(92, ReleaseEnv, void, (Env*))                                                                        \
  ENTRY(93, ReleaseStatus, void, (Status*))                                                                  \
  ENTRY(94, ReleaseMemoryInfo, void, (MemoryInfo*))                                                          \
  ENTRY(95, ReleaseSession, void, (RawSession*))                                                             \
  ENTRY(96, ReleaseValue, void, (Value*))                                                                    \
  ENTRY(99, ReleaseTensorTypeAndShapeInfo, void, (TensorInfo*))                                              \
  ENTRY(100, ReleaseSessionOptions, void, (SessionOptions*))                                                 \
  ENTRY(193, KernelContext_GetGPUComputeStream, Status*, (const KernelContext*, void**))                     \
  ENTRY(237, HasSessionConfigEntry, Status*, (const SessionOptions*, const char*, int*))                     \
  ENTRY(238, GetSessionConfigEntry, Status*, (const SessionOptions*, const char*, char*, size_t*))           \
  ENTRY(272, ReadOpAttr, Status*, (const Attribute*, int, void*, size_t, size_t*))                           \
  ENTRY(289, GetValueInfoName, Status*, (const ValueInfo*, const char**))                                    \
  ENTRY(290, GetValueInfoTypeInfo, Status*, (const ValueInfo*, const TypeInfo**))                            \
  ENTRY(295, CreateKeyValuePairs, void, (KeyValuePairs**))                                                   \
  ENTRY(296, AddKeyValuePair, void, (KeyValuePairs*, const char*, const char*))                              \
  ENTRY(300, ReleaseKeyValuePairs, void, (KeyValuePairs*))                                                   \
  ENTRY(307, HardwareDevice_Type, int, (const HardwareDevice*))                                              \
  ENTRY(317, GetEpApi, void* const*, ())                                                                     \
  ENTRY(318, GetTensorSizeInBytes, Status*, (const Value*, size_t*))                                         \
  ENTRY(320, CreateMemoryInfo_V2, Status*,                                                                   \
        (const char*, int, uint32_t, int32_t, int, size_t, int, MemoryInfo**))                               \
  ENTRY(326, ValueInfo_GetInitializerValue, Status*, (const ValueInfo*, const Value**))                      \
  ENTRY(332, ValueInfo_IsFromOuterScope, Status*, (const ValueInfo*, bool*))                                 \
  ENTRY(333, Graph_GetName, Status*, (const Graph*, const char**))                                           \
  ENTRY(335, Graph_GetOnnxIRVersion, Status*, (const Graph*, int64_t*))                                      \
  ENTRY(336, Graph_GetNumOperatorSets, Status*, (const Graph*, size_t*))                                     \
  ENTRY(337, Graph_GetOperatorSets, Status*, (const Graph*, const char**, int64_t*, size_t))                 \
  ENTRY(338, Graph_GetNumInputs, Status*, (const Graph*, size_t*))                                           \
  ENTRY(339, Graph_GetInputs, Status*, (const Graph*, const ValueInfo**, size_t))                            \
  ENTRY(340, Graph_GetNumOutputs, Status*, (const Graph*, size_t*))                                          \
  ENTRY(341, Graph_GetOutputs, Status*, (const Graph*, const ValueInfo**, size_t))                           \
  ENTRY(342, Graph_GetNumInitializers, Status*, (const Graph*, size_t*))                                     \
  ENTRY(343, Graph_GetInitializers, Status*, (const Graph*, const ValueInfo**, size_t))                      \
  ENTRY(344, Graph_GetNumNodes, Status*, (const Graph*, size_t*))                                            \
  ENTRY(345, Graph_GetNodes, Status*, (const Graph*, const Node**, size_t))                                  \
  ENTRY(346, Graph_GetParentNode, Status*, (const Graph*, const Node**))                                     \
  ENTRY(349, Node_GetName, Status*, (const Node*, const char**))                                             \
  ENTRY(350, Node_GetOperatorType, Status*, (const Node*, const char**))                                     \
  ENTRY(351, Node_GetDomain, Status*, (const Node*, const char**))                                           \
  ENTRY(353, Node_GetNumInputs, Status*, (const Node*, size_t*))                                             \
  ENTRY(354, Node_GetInputs, Status*, (const Node*, const ValueInfo**, size_t))                              \
  ENTRY(355, Node_GetNumOutputs, Status*, (const Node*, size_t*))                                            \
  ENTRY(356, Node_GetOutputs, Status*, (const Node*, const ValueInfo**, size_t))                             \
  ENTRY(357, Node_GetNumImplicitInputs, Status*, (const Node*, size_t*))                                     \
  ENTRY(358, Node_GetImplicitInputs, Status*, (const Node*, const ValueInfo**, size_t))                      \
  ENTRY(359, Node_GetNumAttributes, Status*, (const Node*, size_t*))                                         \
  ENTRY(360, Node_GetAttributes, Status*, (const Node*, const Attribute**, size_t))                          \
  ENTRY(362, OpAttr_GetTensorAttributeAsOrtValue, Status*, (const Attribute*, Value**))                      \
  ENTRY(363, OpAttr_GetType, Status*, (const Attribute*, int*))                                              \
  ENTRY(364, OpAttr_GetName, Status*, (const Attribute*, const char**))                                      \
  ENTRY(365, Node_GetNumSubgraphs, Status*, (const Node*, size_t*))                                          \
  ENTRY(366, Node_GetSubgraphs, Status*, (const Node*, const Graph**, size_t, const char**))                 \
  ENTRY(378, GetTensorData, Status*, (const Value*, const void**))                                           \
  ENTRY(384, SyncStream_GetHandle, void*, (SyncStream*))

/// Of the table that GetEpApi gives.
#define TR0N_PROVIDER_EP_API(ENTRY)                                                                          \
  ENTRY(0, CreateEpDevice, Status*,                                                                          \
        (Factory*, const HardwareDevice*, const KeyValuePairs*, const KeyValuePairs*, EpDevice**))    \
  ENTRY(2, EpGraphSupportInfo_AddNodesToFuse, Status*,                                                       \
        (GraphSupport*, const Node* const*, size_t, const FusionOptions*))                            \
  ENTRY(5, EpDevice_AddAllocatorInfo, Status*, (EpDevice*, const MemoryInfo*))                               \
  ENTRY(6, MemoryInfo_GetMemoryDevice, const MemoryDevice*, (const MemoryInfo*))                             \
  ENTRY(7, Value_GetMemoryDevice, const MemoryDevice*, (const Value*))                                       \
  ENTRY(9, MemoryDevice_GetDeviceType, int, (const MemoryDevice*))                                           \
  ENTRY(11, MemoryDevice_GetVendorId, uint32_t, (const MemoryDevice*))                                       \
  ENTRY(12, MemoryDevice_GetDeviceId, uint32_t, (const MemoryDevice*))                                       \
  ENTRY(18, CreateKernelRegistry, Status*, (KernelRegistry**))                                               \
  ENTRY(19, ReleaseKernelRegistry, void, (KernelRegistry*))                                                  \
  ENTRY(20, KernelRegistry_AddKernel, Status*,                                                               \
        (KernelRegistry*, const KernelDefinition*, CreateKernel, void*))                                     \
  ENTRY(21, CreateKernelDefBuilder, Status*, (KernelBuilder**))                                              \
  ENTRY(22, ReleaseKernelDefBuilder, void, (KernelBuilder*))                                                 \
  ENTRY(23, KernelDefBuilder_SetOperatorType, Status*, (KernelBuilder*, const char*))                        \
  ENTRY(24, KernelDefBuilder_SetDomain, Status*, (KernelBuilder*, const char*))                              \
  ENTRY(25, KernelDefBuilder_SetSinceVersion, Status*, (KernelBuilder*, int, int))                           \
  ENTRY(26, KernelDefBuilder_SetExecutionProvider, Status*, (KernelBuilder*, const char*))                   \
  ENTRY(27, KernelDefBuilder_SetInputMemType, Status*, (KernelBuilder*, size_t, int))                        \
  ENTRY(28, KernelDefBuilder_SetOutputMemType, Status*, (KernelBuilder*, size_t, int))                       \
  ENTRY(29, KernelDefBuilder_AddTypeConstraint, Status*,                                                     \
        (KernelBuilder*, const char*, const DataType* const*, size_t))                                       \
  ENTRY(32, KernelDefBuilder_Build, Status*, (KernelBuilder*, KernelDefinition**))                           \
  ENTRY(33, ReleaseKernelDef, void, (KernelDefinition*))                                                     \
  ENTRY(40, GetTensorDataType, Status*, (int, const DataType**))
// clang-format on

#define TR0N_PROVIDER_MEMBER(index, name, result, parameters) result(*name) parameters = nullptr;
#define TR0N_PROVIDER_LOAD(index, name, result, parameters) \
  name = reinterpret_cast<decltype(name)>(table[index]);
struct Api {
  TR0N_PROVIDER_API(TR0N_PROVIDER_MEMBER)
  explicit Api(void* const* table) { TR0N_PROVIDER_API(TR0N_PROVIDER_LOAD) }
};
struct EpApi {
  TR0N_PROVIDER_EP_API(TR0N_PROVIDER_MEMBER)
  explicit EpApi(void* const* table) { TR0N_PROVIDER_EP_API(TR0N_PROVIDER_LOAD) }
};
#undef TR0N_PROVIDER_MEMBER
#undef TR0N_PROVIDER_LOAD

struct ApiBase {
  void* const* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

// What a provider implements. Later versions have more entries, which are left null.

struct Allocator {
  uint32_t version = kAbi;
  void* (*Alloc)(Allocator*, size_t) = nullptr;
  void (*Free)(Allocator*, void*) = nullptr;
  const MemoryInfo* (*Info)(const Allocator*) = nullptr;
  void* (*Reserve)(Allocator*, size_t) = nullptr;
  Status* (*GetStats)(const Allocator*, KeyValuePairs**) = nullptr;
  void* (*AllocOnStream)(Allocator*, size_t, SyncStream*) = nullptr;
  void* later[4] = {};
};

struct DataTransfer {
  uint32_t version = kAbi;
  void (*Release)(DataTransfer*) = nullptr;
  bool (*CanCopy)(const DataTransfer*, const MemoryDevice* from, const MemoryDevice* to) = nullptr;
  Status* (*CopyTensors)(DataTransfer*, const Value** from, Value** to, SyncStream** streams,
                         size_t count) = nullptr;
};

struct SyncNotification {
  uint32_t version = kAbi;
  void (*Release)(SyncNotification*) = nullptr;
  Status* (*Activate)(SyncNotification*) = nullptr;
  Status* (*WaitOnDevice)(SyncNotification*, SyncStream* consumer) = nullptr;
  Status* (*WaitOnHost)(SyncNotification*) = nullptr;
};

struct SyncStreamTable {
  uint32_t version = kAbi;
  void (*Release)(SyncStreamTable*) = nullptr;
  void* (*GetHandle)(SyncStreamTable*) = nullptr;
  Status* (*CreateNotification)(SyncStreamTable*, SyncNotification**) = nullptr;
  Status* (*Flush)(SyncStreamTable*) = nullptr;
  Status* (*OnSessionRunEnd)(SyncStreamTable*) = nullptr;
};

struct FusionOptions {
  uint32_t version = kAbi;
  bool drop_constant_initializers = true;  ///< they are compiled into the inner model
};

struct ComputeInfo {
  uint32_t version = kAbi;
  Status* (*CreateState)(ComputeInfo*, ComputeContext*, void** state) = nullptr;
  Status* (*Compute)(ComputeInfo*, void* state, KernelContext*) = nullptr;
  void (*ReleaseState)(ComputeInfo*, void* state) = nullptr;
};

struct Ep {
  uint32_t version = kAbi;
  const char* (*GetName)(const Ep*) = nullptr;
  Status* (*GetCapability)(Ep*, const Graph*, GraphSupport*) = nullptr;
  Status* (*Compile)(Ep*, const Graph**, const Node** fused, size_t count, ComputeInfo**,
                     Node** contexts) = nullptr;
  void (*ReleaseNodeComputeInfos)(Ep*, ComputeInfo**, size_t count) = nullptr;
  Status* (*GetPreferredDataLayout)(Ep*, int*) = nullptr;
  Status* (*ShouldConvertDataLayoutForOp)(Ep*, const char*, const char*, int, int*) = nullptr;
  Status* (*SetDynamicOptions)(Ep*, const char* const*, const char* const*, size_t) = nullptr;
  Status* (*OnRunStart)(Ep*, const RunOptions*) = nullptr;
  Status* (*OnRunEnd)(Ep*, const RunOptions*, bool synchronise) = nullptr;
  Status* (*CreateAllocator)(Ep*, const MemoryInfo*, Allocator**) = nullptr;
  Status* (*CreateSyncStreamForDevice)(Ep*, const MemoryDevice*, SyncStreamTable**) = nullptr;
  const char* (*GetCompiledModelCompatibilityInfo)(Ep*, const Graph*) = nullptr;
  Status* (*GetKernelRegistry)(Ep*, const KernelRegistry**) = nullptr;
  void* later[8] = {};
};

struct Factory {
  uint32_t version = kAbi;
  const char* (*GetName)(const Factory*) = nullptr;
  const char* (*GetVendor)(const Factory*) = nullptr;
  Status* (*GetSupportedDevices)(Factory*, const HardwareDevice* const*, size_t, EpDevice**, size_t most,
                                 size_t* count) = nullptr;
  Status* (*CreateEp)(Factory*, const HardwareDevice* const*, const KeyValuePairs* const*, size_t,
                      const SessionOptions*, const Logger*, Ep**) = nullptr;
  void (*ReleaseEp)(Factory*, Ep*) = nullptr;
  uint32_t (*GetVendorId)(const Factory*) = nullptr;
  const char* (*GetVersion)(const Factory*) = nullptr;
  Status* (*ValidateCompiledModelCompatibilityInfo)(Factory*, const HardwareDevice* const*, size_t,
                                                    const char*, int*) = nullptr;
  Status* (*CreateAllocator)(Factory*, const MemoryInfo*, const KeyValuePairs*, Allocator**) = nullptr;
  void (*ReleaseAllocator)(Factory*, Allocator*) = nullptr;
  Status* (*CreateDataTransfer)(Factory*, DataTransfer**) = nullptr;
  bool (*IsStreamAware)(const Factory*) = nullptr;
  Status* (*CreateSyncStreamForDevice)(Factory*, const MemoryDevice*, const KeyValuePairs*,
                                       SyncStreamTable**) = nullptr;
  void* later[8] = {};
};

struct Kernel {
  uint32_t version = kAbi;
  uint32_t flags = 0;
  Status* (*Compute)(Kernel*, KernelContext*) = nullptr;
  void (*Release)(Kernel*) = nullptr;
  void* later[8] = {};
};

}  // namespace tr0n::provider
