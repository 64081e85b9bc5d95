#include "bridge/ort_runtime.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "bridge/process_exit.h"
#include "bridge/value_pool.h"

namespace tr0n::ort {
namespace {

// Leaked like the environment itself: threads may still ask for them while the process exits.
std::mutex& library_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
std::string& library_path() {
  static auto* path = new std::string("libonnxruntime.so.1");
  return *path;
}
std::atomic<Runtime*> opened{nullptr};

/// Everything worth knowing comes back as a status; the log would only write over the user's terminal.
void discard_log(void*, int, const char*, const char*, const char*, const char*) {}

std::string last_dl_error() {
  const char* message = dlerror();
  return message ? message : "unknown reason";
}

}  // namespace

void Runtime::set_library(const std::string& path) {
  std::lock_guard<std::mutex> lock(library_mutex());
  library_path() = path;
  // Recent runtimes upload usage events from the moment their environment is made (seen with 1.30). A library
  // inside a library must not send anything from a user's process on its own; whoever wants it sets the
  // variable first.
  if (!opened.load()) setenv("ORT_DISABLE_TELEMETRY", "1", /*overwrite=*/0);
}

Runtime& Runtime::instance() {
  if (Runtime* runtime = opened.load(std::memory_order_acquire)) return *runtime;
  std::lock_guard<std::mutex> lock(library_mutex());
  if (!opened.load()) opened.store(new Runtime(library_path()), std::memory_order_release);
  return *opened.load();
}

std::string Runtime::version() {
  Runtime* runtime = opened.load(std::memory_order_acquire);
  return runtime ? runtime->version_ : std::string();
}

Runtime::Runtime(const std::string& path) {
  // Never closed: its threads and exit handlers must stay mapped. RTLD_LOCAL keeps its symbols from mixing
  // with another copy that the process may have loaded.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw Error("ERR_RUNTIME_MISSING",
                "ONNX Runtime cannot be loaded. Tried \"" + path + "\": " + last_dl_error() +
                    ". It comes with the package onnxruntime-node; TR0N_ONNXRUNTIME names "
                    "another copy");
  void* symbol = dlsym(library, "OrtGetApiBase");
  if (!symbol) throw Error("ERR_RUNTIME_MISSING", "\"" + path + "\" is not ONNX Runtime: " + last_dl_error());
  const auto get_base = reinterpret_cast<const ApiBase* (*)()>(symbol);
  base_ = get_base();
  version_ = base_->GetVersionString();
  Dl_info place{};
  if (dladdr(symbol, &place) != 0 && place.dli_fname) {
    const std::string file = place.dli_fname;
    folder_ = file.substr(0, file.find_last_of('/') + 1);
  }
  void* const* table = base_->GetApi(kApiVersion);
  if (!table)
    throw Error("ERR_RUNTIME_MISSING",
                "\"" + path + "\" is ONNX Runtime " + version_ + ", too old: expected 1.22 or newer");
  api_ = Api(table);
  set_load_cancellation_ = later<SetLoadCancellation>(kLoadCancellationVersion, kLoadCancellationIndex);
  const char* code = "ERR_RUNTIME_MISSING";
  check(api_, api_.CreateEnvWithCustomLogger(discard_log, nullptr, kLogFatal, "tr0n", &env_), code);
  check(api_, api_.DisableTelemetryEvents(env_), code);
  check(api_, api_.CreateCpuMemoryInfo(kDeviceAllocator, kDefaultMemory, &cpu_memory_), code);
  check(api_, api_.GetAllocatorWithDefaultOptions(&allocator_), code);
  pool_.version = kHostAllocatorVersion;
  pool_.Alloc = [](HostAllocator*, size_t bytes) { return ValuePool::instance().allocate(bytes); };
  pool_.Free = [](HostAllocator*, void* data) { ValuePool::instance().free(data); };
  pool_.memory = cpu_memory_;
  pool_.Info = [](const HostAllocator* pool) { return static_cast<const decltype(pool_)*>(pool)->memory; };
  // Refused where another user of the library in this process has registered one.
  has_pool_ = !take(api_, api_.RegisterAllocator(env_, &pool_));
  // Registered after the library's own exit handlers, hence run before them.
  register_process_exit();
}

bool Failure::out_of_memory() const {
  for (const char* phrase :
       {"bad_alloc", "Failed to allocate memory", "out of memory", "Cannot allocate memory",
        // Of GPUs: a limit that was set, Vulkan's and WebGPU's own words.
        "is smaller than requested bytes", "OUT_OF_DEVICE_MEMORY", "OUT_OF_HOST_MEMORY", "Out of memory"})
    if (message.find(phrase) != std::string::npos) return true;
  return false;
}

bool Failure::device_lost() const {
  // WebGPU's words, then CUDA's numbers of errors after which a context is of no use.
  for (const char* phrase :
       {"evice lost", "evice is lost", "DEVICE_LOST", "evice was lost", "CUDA failure 214",
        "CUDA failure 220", "CUDA failure 700", "CUDA failure 702", "CUDA failure 709", "CUDA failure 710",
        "CUDA failure 714", "CUDA failure 715", "CUDA failure 716", "CUDA failure 717", "CUDA failure 718",
        "CUDA failure 719", "CUDA failure 999"})
    if (message.find(phrase) != std::string::npos) return true;
  return false;
}

Failure take(const Api& api, Status* status) {
  Failure failure;
  if (!status) return failure;
  failure.code = static_cast<StatusCode>(api.GetErrorCode(status));
  if (failure.code == StatusCode::ok) failure.code = StatusCode::fail;
  failure.message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  return failure;
}

void check(const Api& api, Status* status, const char* code) {
  if (!status) return;
  const Failure failure = take(api, status);
  throw Error(failure.out_of_memory() ? "ERR_OUT_OF_MEMORY" : code, "ONNX Runtime: " + failure.message);
}

}  // namespace tr0n::ort
