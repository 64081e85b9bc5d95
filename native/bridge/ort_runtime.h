#pragma once
#include <memory>
#include <string>

#include "base/error.h"
#include "bridge/ort_api.h"

namespace tr0n::ort {

/// ONNX Runtime in this process: the shared library and its environment, opened when first needed.
///
/// The environment is one for the process (worker threads and the onnxruntime-node package share it: the
/// library counts its users) and is deliberately never released: at exit another thread may still be inside a
/// run, and the system takes everything back anyway.
class Runtime {
 public:
  /// Names the library to open. Has no effect once it is open.
  static void set_library(const std::string& path);
  /// Opens the library if need be; throws ERR_RUNTIME_MISSING saying what was tried.
  static Runtime& instance();
  /// The version of the open library, empty before it is opened.
  static std::string version();
  /// The folder that the library lies in, where ONNX Runtime looks for its providers; empty where unknown.
  const std::string& folder() const { return folder_; }

  const Api& api() const { return api_; }
  /// Null where the runtime is too old.
  SetLoadCancellation set_load_cancellation() const { return set_load_cancellation_; }
  /// An entry of a later version of the table; null where the runtime is too old.
  template <typename Function>
  Function later(uint32_t version, size_t index) const {
    void* const* table = base_->GetApi(version);
    return table ? reinterpret_cast<Function>(table[index]) : nullptr;
  }
  Env* env() const { return env_; }
  const MemoryInfo* cpu_memory() const { return cpu_memory_; }
  Allocator* allocator() const { return allocator_; }
  /// Whether sessions that ask for the environment's allocators get ValuePool's memory.
  bool has_pool() const { return has_pool_; }

 private:
  explicit Runtime(const std::string& path);
  const ApiBase* base_ = nullptr;
  Api api_;
  SetLoadCancellation set_load_cancellation_ = nullptr;
  Env* env_ = nullptr;
  MemoryInfo* cpu_memory_ = nullptr;
  Allocator* allocator_ = nullptr;
  struct : HostAllocator {
    const MemoryInfo* memory = nullptr;
  } pool_{};
  bool has_pool_ = false;
  std::string version_, folder_;
};

/// What a status said, after its release.
struct Failure {
  StatusCode code = StatusCode::ok;
  std::string message;
  explicit operator bool() const { return code != StatusCode::ok; }
  /// The runtime could not get memory: it has no status code of its own for that.
  bool out_of_memory() const;
  /// The GPU failed; nor has it one for that.
  bool device_lost() const;
};

/// Releases the status. A null status is success.
Failure take(const Api& api, Status* status);

/// For calls that can only fail for want of memory or by a defect: throws ERR_OUT_OF_MEMORY or `code`.
void check(const Api& api, Status* status, const char* code = "ERR_INTERNAL");

template <typename T, void (*Api::*Release)(T*)>
struct Releaser {
  void operator()(T* object) const noexcept { (Runtime::instance().api().*Release)(object); }
};
template <typename T, void (*Api::*Release)(T*)>
using Handle = std::unique_ptr<T, Releaser<T, Release>>;

using MemoryInfoHandle = Handle<MemoryInfo, &Api::ReleaseMemoryInfo>;
using SessionHandle = Handle<RawSession, &Api::ReleaseSession>;
using ValueHandle = Handle<Value, &Api::ReleaseValue>;
using RunOptionsHandle = Handle<RunOptions, &Api::ReleaseRunOptions>;
using TypeInfoHandle = Handle<TypeInfo, &Api::ReleaseTypeInfo>;
using TensorInfoHandle = Handle<TensorInfo, &Api::ReleaseTensorTypeAndShapeInfo>;
using PackedWeightsHandle = Handle<PackedWeights, &Api::ReleasePrepackedWeightsContainer>;
using ValueNameHandle = Handle<ValueName, &Api::ReleaseValueName>;
using GraphHandle = Handle<Graph, &Api::ReleaseGraph>;
using ModelHandle = Handle<Model, &Api::ReleaseModel>;
using CudaOptionsHandle = Handle<CudaOptions, &Api::ReleaseCUDAProviderOptions>;
using SessionOptionsHandle = Handle<SessionOptions, &Api::ReleaseSessionOptions>;

}  // namespace tr0n::ort
