#include "bridge/torch_runtime.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "bridge/process_exit.h"

namespace tr0n {
namespace {

// Leaked: threads may still ask for them while the process exits.
std::mutex& module_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
std::string& module_path() {
  static auto* path = new std::string("tr0n_torchscript.so");
  return *path;
}
std::atomic<TorchRuntime*> opened{nullptr};
std::atomic<int> calls{0};
std::atomic<bool> exiting{false};
std::atomic<int> registrations{0};

/// Before any exit handler of libtorch: no call may be inside it.
void leave(int status) {
  exiting.store(true);
  run_process_exit_hook();  // ends our jobs, waits for a while
  if (calls.load() == 0) return;
#if defined(__GLIBC__)
  _exit(status);
#else
  static_cast<void>(status);
  while (calls.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
#endif
}

void register_leave_now() {
#if defined(__GLIBC__)
  on_exit([](int status, void*) { leave(status); }, nullptr);
#else
  std::atexit([] { leave(0); });
#endif
}

/// Exit handlers run last in, first out, and parts of libtorch register theirs when they are first used:
/// called after each of the first uses. The list of handlers must not grow with every run.
void register_leave() {
  if (registrations.load(std::memory_order_relaxed) >= 64) return;
  if (registrations.fetch_add(1) < 64) register_leave_now();
}

Error missing(const std::string& path, const std::string& why) {
  return Error(
      "ERR_RUNTIME_MISSING",
      "TorchScript models need tr0n's TorchScript module, which cannot be loaded. Tried \"" + path +
          "\": " + why +
          ". To build it, install libtorch (Debian: apt-get install libtorch-dev; or set TR0N_LIBTORCH to "
          "an unpacked libtorch, or to the folder that python3 -c \"import torch; print(torch.__path__[0])\" "
          "prints), then run: npm explore tr0n -- npm run build:torchscript (in tr0n's own folder: npm run "
          "build:torchscript). TR0N_TORCHSCRIPT_MODULE names another file");
}

}  // namespace

void TorchRuntime::set_module(const std::string& path) {
  std::lock_guard<std::mutex> lock(module_mutex());
  module_path() = path;
}

TorchRuntime& TorchRuntime::instance() {
  if (TorchRuntime* runtime = opened.load(std::memory_order_acquire)) return *runtime;
  std::lock_guard<std::mutex> lock(module_mutex());
  if (!opened.load()) opened.store(new TorchRuntime(module_path()), std::memory_order_release);
  return *opened.load();
}

std::string TorchRuntime::version() {
  TorchRuntime* runtime = opened.load(std::memory_order_acquire);
  return runtime ? runtime->api_->libtorch_version : "";
}

void TorchRuntime::trim() {
  TorchRuntime* runtime = opened.load(std::memory_order_acquire);
  const TorchCall call{std::nothrow};
  if (runtime && call) runtime->api_->trim();
}

void TorchRuntime::prepare_exit() {
  exiting.store(true);
  run_process_exit_hook();
  // What calls that are still inside use for the first time, they have used by now: our handler comes before
  // those.
  if (calls.load() > 0) register_leave_now();
}

TorchRuntime::TorchRuntime(const std::string& path) {
  // RTLD_LOCAL keeps libtorch's symbols, and those of the many libraries that come with it, from the rest of
  // the process.
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) {
    const char* message = dlerror();
    throw missing(path, message ? message : "unknown reason");
  }
  void* symbol = dlsym(module, "tr0n_torch_get_api");
  if (!symbol) throw missing(path, "it is another library");
  api_ = reinterpret_cast<decltype(&tr0n_torch_get_api)>(symbol)(TR0N_TORCH_API_VERSION);
  if (!api_) throw missing(path, "it was built for another version of tr0n; build it again");
  register_leave();
}

TorchCall::TorchCall(std::nothrow_t) noexcept : entered_(true) {
  calls.fetch_add(1);
  if (!exiting.load()) return;
  calls.fetch_sub(1);
  entered_ = false;
}

TorchCall::TorchCall() : TorchCall(std::nothrow) {
  if (!entered_) throw Error("ERR_ABORTED", "the process is exiting");
}

TorchCall::~TorchCall() {
  if (!entered_) return;
  register_leave();  // before the count goes down: until then, the process waits
  calls.fetch_sub(1);
}

void TorchRelease::operator()(tr0n_torch_model* model) const noexcept {
  if (const TorchCall call{std::nothrow}) TorchRuntime::instance().api().release_model(model);
}

void TorchRelease::operator()(tr0n_torch_tape* tape) const noexcept {
  if (const TorchCall call{std::nothrow}) TorchRuntime::instance().api().release_tape(tape);
}

}  // namespace tr0n
