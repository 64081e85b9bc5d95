#pragma once
#include <cstddef>
#include <cstdint>

/// The part of ONNX Runtime's C interface that tr0n calls. The runtime hands out a table of function pointers
/// that only ever grows at its end, so an entry is its index and its signature; both are facts of the
/// runtime's ABI and hold for every version since the entry appeared.
namespace tr0n::ort {

/// The newest interface version that an entry below needs. Runtimes from 1.22 (2025) on provide it.
constexpr uint32_t kApiVersion = 22;

struct Env;
struct Status;
struct MemoryInfo;
struct RawSession;
struct Value;
struct RunOptions;
struct TypeInfo;
struct TensorInfo;
struct SessionOptions;
struct PackedWeights;
struct Allocator;
struct ValueName;
struct Graph;
struct Model;
struct EpDevice;
struct IoBinding;
struct CudaOptions;

/// An allocator of ours, which the runtime calls "OrtAllocator".
struct HostAllocator {
  uint32_t version;
  void* (*Alloc)(HostAllocator*, size_t);
  void (*Free)(HostAllocator*, void*);
  const MemoryInfo* (*Info)(const HostAllocator*);
  /// Of later versions, none of which it offers.
  void* later[8];
};
/// The version that has no more than these.
constexpr uint32_t kHostAllocatorVersion = 17;

enum class StatusCode : int {
  ok = 0,
  fail = 1,
  invalid_argument = 2,
  no_such_file = 3,
  no_model = 4,
  engine_error = 5,
  runtime_exception = 6,
  invalid_protobuf = 7,
  model_loaded = 8,
  not_implemented = 9,
  invalid_graph = 10,
  ep_fail = 11,
};

/// ONNX's own numbering of element types.
enum class ElementType : int {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
};

constexpr int kTypeIsTensor = 1;
constexpr int kDeviceAllocator = 0;
constexpr int kDefaultMemory = 0;
constexpr int kCpuMemory = 0;  ///< of MemoryInfoGetDeviceType
constexpr int kLogError = 3;
constexpr int kLogFatal = 4;
constexpr int kOptimizeBasic = 1;
constexpr int kOptimizeAll = 99;

using LogFunction = void (*)(void* parameter, int severity, const char* category, const char* id,
                             const char* location, const char* message);

// clang-format off
/// ENTRY(index in the table, name, result, parameters)
#define TR0N_ORT_ENTRIES(ENTRY)                                                                              \
  ENTRY(1, GetErrorCode, int, (const Status*))                                                               \
  ENTRY(2, GetErrorMessage, const char*, (const Status*))                                                    \
  ENTRY(4, CreateEnvWithCustomLogger, Status*, (LogFunction, void*, int, const char*, Env**))                \
  ENTRY(6, DisableTelemetryEvents, Status*, (const Env*))                                                    \
  ENTRY(7, CreateSession, Status*, (const Env*, const char*, const SessionOptions*, RawSession**))           \
  ENTRY(8, CreateSessionFromArray, Status*,                                                                  \
        (const Env*, const void*, size_t, const SessionOptions*, RawSession**))                              \
  ENTRY(9, Run, Status*,                                                                                     \
        (RawSession*, const RunOptions*, const char* const*, const Value* const*, size_t,                    \
         const char* const*, size_t, Value**))                                                               \
  ENTRY(10, CreateSessionOptions, Status*, (SessionOptions**))                                               \
  ENTRY(11, SetOptimizedModelFilePath, Status*, (SessionOptions*, const char*))                              \
  ENTRY(17, DisableMemPattern, Status*, (SessionOptions*))                                                   \
  ENTRY(22, SetSessionLogSeverityLevel, Status*, (SessionOptions*, int))                                     \
  ENTRY(23, SetSessionGraphOptimizationLevel, Status*, (SessionOptions*, int))                               \
  ENTRY(24, SetIntraOpNumThreads, Status*, (SessionOptions*, int))                                           \
  ENTRY(25, SetInterOpNumThreads, Status*, (SessionOptions*, int))                                           \
  ENTRY(30, SessionGetInputCount, Status*, (const RawSession*, size_t*))                                     \
  ENTRY(31, SessionGetOutputCount, Status*, (const RawSession*, size_t*))                                    \
  ENTRY(33, SessionGetInputTypeInfo, Status*, (const RawSession*, size_t, TypeInfo**))                       \
  ENTRY(34, SessionGetOutputTypeInfo, Status*, (const RawSession*, size_t, TypeInfo**))                      \
  ENTRY(36, SessionGetInputName, Status*, (const RawSession*, size_t, Allocator*, char**))                   \
  ENTRY(37, SessionGetOutputName, Status*, (const RawSession*, size_t, Allocator*, char**))                  \
  ENTRY(39, CreateRunOptions, Status*, (RunOptions**))                                                       \
  ENTRY(41, RunOptionsSetRunLogSeverityLevel, Status*, (RunOptions*, int))                                   \
  ENTRY(46, RunOptionsSetTerminate, Status*, (RunOptions*))                                                  \
  ENTRY(49, CreateTensorWithDataAsOrtValue, Status*,                                                         \
        (const MemoryInfo*, void*, size_t, const int64_t*, size_t, int, Value**))                            \
  ENTRY(50, IsTensor, Status*, (const Value*, int*))                                                         \
  ENTRY(51, GetTensorMutableData, Status*, (Value*, void**))                                                 \
  ENTRY(55, CastTypeInfoToTensorInfo, Status*, (const TypeInfo*, const TensorInfo**))                        \
  ENTRY(56, GetOnnxTypeFromTypeInfo, Status*, (const TypeInfo*, int*))                                       \
  ENTRY(60, GetTensorElementType, Status*, (const TensorInfo*, int*))                                        \
  ENTRY(61, GetDimensionsCount, Status*, (const TensorInfo*, size_t*))                                       \
  ENTRY(62, GetDimensions, Status*, (const TensorInfo*, int64_t*, size_t))                                   \
  ENTRY(63, GetSymbolicDimensions, Status*, (const TensorInfo*, const char**, size_t))                       \
  ENTRY(65, GetTensorTypeAndShape, Status*, (const Value*, TensorInfo**))                                    \
  ENTRY(68, CreateMemoryInfo, Status*, (const char*, int, int, int, MemoryInfo**))                           \
  ENTRY(69, CreateCpuMemoryInfo, Status*, (int, int, MemoryInfo**))                                          \
  ENTRY(76, AllocatorFree, Status*, (Allocator*, void*))                                                     \
  ENTRY(78, GetAllocatorWithDefaultOptions, Status*, (Allocator**))                                          \
  ENTRY(93, ReleaseStatus, void, (Status*))                                                                  \
  ENTRY(94, ReleaseMemoryInfo, void, (MemoryInfo*))                                                          \
  ENTRY(95, ReleaseSession, void, (RawSession*))                                                             \
  ENTRY(96, ReleaseValue, void, (Value*))                                                                    \
  ENTRY(97, ReleaseRunOptions, void, (RunOptions*))                                                          \
  ENTRY(98, ReleaseTypeInfo, void, (TypeInfo*))                                                              \
  ENTRY(99, ReleaseTensorTypeAndShapeInfo, void, (TensorInfo*))                                              \
  ENTRY(100, ReleaseSessionOptions, void, (SessionOptions*))                                                 \
  ENTRY(125, GetAvailableProviders, Status*, (char***, int*))                                                \
  ENTRY(126, ReleaseAvailableProviders, Status*, (char**, int))                                              \
  ENTRY(130, AddSessionConfigEntry, Status*, (SessionOptions*, const char*, const char*))                    \
  ENTRY(133, RunWithBinding, Status*, (RawSession*, const RunOptions*, const IoBinding*))                    \
  ENTRY(134, CreateIoBinding, Status*, (RawSession*, IoBinding**))                                           \
  ENTRY(135, ReleaseIoBinding, void, (IoBinding*))                                                           \
  ENTRY(136, BindInput, Status*, (IoBinding*, const char*, const Value*))                                    \
  ENTRY(137, BindOutput, Status*, (IoBinding*, const char*, const Value*))                                   \
  ENTRY(138, BindOutputToDevice, Status*, (IoBinding*, const char*, const MemoryInfo*))                      \
  ENTRY(140, GetBoundOutputValues, Status*, (const IoBinding*, Allocator*, Value***, size_t*))               \
  ENTRY(150, AddInitializer, Status*, (SessionOptions*, const char*, const Value*))                          \
  ENTRY(165, AddRunConfigEntry, Status*, (RunOptions*, const char*, const char*))                            \
  ENTRY(166, CreatePrepackedWeightsContainer, Status*, (PackedWeights**))                                    \
  ENTRY(167, ReleasePrepackedWeightsContainer, void, (PackedWeights*))                                       \
  ENTRY(176, RegisterAllocator, Status*, (Env*, HostAllocator*))                                             \
  ENTRY(194, GetTensorMemoryInfo, Status*, (const Value*, const MemoryInfo**))                               \
  ENTRY(204, SessionOptionsAppendExecutionProvider_CUDA_V2, Status*, (SessionOptions*, const CudaOptions*))  \
  ENTRY(205, CreateCUDAProviderOptions, Status*, (CudaOptions**))                                            \
  ENTRY(206, UpdateCUDAProviderOptions, Status*,                                                             \
        (CudaOptions*, const char* const*, const char* const*, size_t))                                      \
  ENTRY(208, ReleaseCUDAProviderOptions, void, (CudaOptions*))                                               \
  ENTRY(216, SessionOptionsAppendExecutionProvider, Status*,                                                 \
        (SessionOptions*, const char*, const char* const*, const char* const*, size_t))                      \
  ENTRY(225, MemoryInfoGetDeviceType, void, (const MemoryInfo*, int*))                                       \
  ENTRY(285, ReleaseValueName, void, (ValueName*))                                                           \
  ENTRY(287, ReleaseGraph, void, (Graph*))                                                                   \
  ENTRY(288, ReleaseModel, void, (Model*))                                                                   \
  ENTRY(291, GetModelEditorApi, void* const*, ())                                                            \
  ENTRY(292, CreateTensorWithDataAndDeleterAsOrtValue, Status*,                                              \
        (HostAllocator*, void*, size_t, const int64_t*, size_t, int, Value**))                               \
  ENTRY(301, RegisterExecutionProviderLibrary, Status*, (Env*, const char*, const char*))                    \
  ENTRY(303, GetEpDevices, Status*, (const Env*, const EpDevice* const**, size_t*))                          \
  ENTRY(304, SessionOptionsAppendExecutionProvider_V2, Status*,                                              \
        (SessionOptions*, Env*, const EpDevice* const*, size_t, const char* const*, const char* const*,      \
         size_t))                                                                                            \
  ENTRY(312, EpDevice_EpName, const char*, (const EpDevice*))

/// Of the table that GetModelEditorApi gives: changes to a model between its parsing and its optimisation.
#define TR0N_ORT_EDITOR_ENTRIES(ENTRY)                                                                       \
  ENTRY(5, CreateValueName, Status*, (const char*, const TypeInfo*, ValueName**))                            \
  ENTRY(7, CreateGraph, Status*, (Graph**))                                                                  \
  ENTRY(8, SetGraphInputs, Status*, (Graph*, ValueName**, size_t))                                           \
  ENTRY(10, AddInitializerToGraph, Status*, (Graph*, const char*, Value*, bool))                             \
  ENTRY(12, CreateModel, Status*, (const char* const*, const int*, size_t, Model**))                         \
  ENTRY(13, AddGraphToModel, Status*, (Model*, Graph*))                                                      \
  ENTRY(16, CreateModelEditorSessionFromArray, Status*,                                                      \
        (const Env*, const void*, size_t, const SessionOptions*, RawSession**))                              \
  ENTRY(18, ApplyModelToModelEditorSession, Status*, (RawSession*, Model*))                                  \
  ENTRY(19, FinalizeModelEditorSession, Status*, (RawSession*, const SessionOptions*, PackedWeights*))
// clang-format on

/// The entries, typed.
struct Api {
#define TR0N_ORT_MEMBER(index, name, result, parameters) result(*name) parameters = nullptr;
  TR0N_ORT_ENTRIES(TR0N_ORT_MEMBER)
#undef TR0N_ORT_MEMBER

  Api() = default;
  explicit Api(void* const* table) {
#define TR0N_ORT_LOAD(index, name, result, parameters) name = reinterpret_cast<decltype(name)>(table[index]);
    TR0N_ORT_ENTRIES(TR0N_ORT_LOAD)
#undef TR0N_ORT_LOAD
  }
};

/// Of a later version of the table than kApiVersion: makes sessions that are being made of these options give
/// up.
constexpr uint32_t kLoadCancellationVersion = 22;
constexpr size_t kLoadCancellationIndex = 293;
using SetLoadCancellation = Status* (*)(SessionOptions*, bool cancel);

/// Of a later version: what the runtime calls the memory of a provider's device. 0 is the device's own.
constexpr uint32_t kDeviceMemoryVersion = 23;
constexpr size_t kDeviceMemoryIndex = 374;
using GetDeviceMemory = const MemoryInfo* (*)(const EpDevice*, int kind);

/// Of a later version: the memory in which a session wants its inputs and makes its outputs, in their order.
constexpr uint32_t kSessionMemoryVersion = 23;
constexpr size_t kInputMemoryIndex = 380, kOutputMemoryIndex = 381;
using GetSessionMemory = Status* (*)(const RawSession*, const MemoryInfo**, size_t count);

/// Of a later version: which provider got which nodes of a session's model, where the session recorded it.
struct AssignedSubgraph;
struct AssignedNode;
constexpr uint32_t kAssignmentVersion = 24;
constexpr size_t kAssignmentIndex = 407, kAssignedProviderIndex = 408, kAssignedNodesIndex = 409,
                 kAssignedNameIndex = 410, kAssignedDomainIndex = 411, kAssignedOperatorIndex = 412;
using GetAssignment = Status* (*)(const RawSession*, const AssignedSubgraph* const**, size_t*);
using GetAssignedProvider = Status* (*)(const AssignedSubgraph*, const char**);
using GetAssignedNodes = Status* (*)(const AssignedSubgraph*, const AssignedNode* const**, size_t*);
using GetAssignedText = Status* (*)(const AssignedNode*, const char**);

/// The same of the table for changes to models.
struct EditorApi {
#define TR0N_ORT_MEMBER(index, name, result, parameters) result(*name) parameters = nullptr;
  TR0N_ORT_EDITOR_ENTRIES(TR0N_ORT_MEMBER)
#undef TR0N_ORT_MEMBER

  explicit EditorApi(void* const* table) {
#define TR0N_ORT_LOAD(index, name, result, parameters) name = reinterpret_cast<decltype(name)>(table[index]);
    TR0N_ORT_EDITOR_ENTRIES(TR0N_ORT_LOAD)
#undef TR0N_ORT_LOAD
  }
};

/// What the library's one exported function, OrtGetApiBase, returns.
struct ApiBase {
  void* const* (*GetApi)(uint32_t version);  ///< null where the version is not supported
  const char* (*GetVersionString)();
};

}  // namespace tr0n::ort
