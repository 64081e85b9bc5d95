#include "cuda/queue.h"

#include <algorithm>

namespace tr0n::cuda {
namespace {

constexpr size_t kSmallestWorkspace = size_t{1} << 16;
void* const kRehearsal = reinterpret_cast<void*>(256);  // an address to count from, not to use

std::string text(const Dim& dim) {
  return "(" + std::to_string(dim.x) + ", " + std::to_string(dim.y) + ", " + std::to_string(dim.z) + ")";
}

/// The sizes of a launch's arguments have to be those of the kernel's parameters: the driver cannot know.
void check_arguments(const Function& function, const size_t* sizes, size_t count) {
  const auto list = [](const size_t* first, size_t n) {
    std::string result;
    for (size_t i = 0; i < n; ++i) result += (i == 0 ? "" : ", ") + std::to_string(first[i]);
    return "(" + result + ")";
  };
  if (count == function.parameters.size() && std::equal(sizes, sizes + count, function.parameters.begin()))
    return;
  throw Error("ERR_INTERNAL", "kernel " + function.name + " takes parameters of " +
                                  list(function.parameters.data(), function.parameters.size()) +
                                  " bytes, was launched with " + list(sizes, count));
}

/// Keeps the list free of duplicates: it has a few dozen entries at most.
void add(std::vector<std::string>& list, const std::string& name) {
  if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

thread_local Detour* innermost = nullptr;

}  // namespace

Detour::Detour(const DeviceQueue& target) : queue(target), outer(innermost) { innermost = this; }
Detour::~Detour() { innermost = outer; }

Detour* Detour::of(const DeviceQueue& target) {
  for (Detour* detour = innermost; detour != nullptr; detour = detour->outer)
    if (&detour->queue == &target) return detour;
  return nullptr;
}

DeviceQueue::DeviceQueue(const Context& context)
    : context_(context),
      multiprocessors_(context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)),
      max_shared_bytes_(
          static_cast<size_t>(context.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN))),
      stream_(context),
      memory_(context, stream_.handle()),
      modules_(context) {}

DeviceQueue::~DeviceQueue() {
  if (workspace_ != nullptr) memory_.release(workspace_);
}

Workspace DeviceQueue::workspace(size_t bytes) const {
  if (Detour* detour = Detour::of(*this)) {
    detour->workspace_bytes = std::max(detour->workspace_bytes, bytes);
    return {detour->workspace != nullptr ? detour->workspace : kRehearsal, {}};
  }
  std::unique_lock lock(workspace_mutex_);
  if (bytes > workspace_bytes_) {
    const Current current(context_);
    const size_t size = std::max({bytes, kSmallestWorkspace, 2 * workspace_bytes_});
    void* larger = memory_.allocate(size);
    // Kernels that still use the old one come before whoever gets its memory next.
    if (workspace_ != nullptr) memory_.release(workspace_);
    workspace_ = larger;
    workspace_bytes_ = size;
  }
  return {workspace_, std::move(lock)};
}

void DeviceQueue::zero(void* memory, size_t bytes) const {
  const Detour* detour = Detour::of(*this);
  if (bytes == 0 || (detour != nullptr && detour->stream == nullptr)) return;
  const Current current(context_);
  context_.check(context_.api().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(memory), 0, bytes,
                                                detour != nullptr ? detour->stream : stream()),
                 "cuMemsetD8Async", running());
}

Function& DeviceQueue::prepared(const char* kernel, size_t shared_bytes) const {
  const std::lock_guard lock(modules_mutex_);
  Function& function = modules_.function(kernel);
  if (shared_bytes > function.allowed_shared) {
    context_.check(
        context_.api().cuFuncSetAttribute(function.handle, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                          static_cast<int>(shared_bytes)),
        "cuFuncSetAttribute",
        "kernel " + function.name + " wants " + std::to_string(shared_bytes) + " bytes of shared memory");
    function.allowed_shared = shared_bytes;
  }
  return function;
}

int DeviceQueue::resident_blocks(const char* kernel, unsigned threads, unsigned shared_bytes) const {
  const Current current(context_);
  const Function& function = prepared(kernel, shared_bytes);
  int blocks = 0;
  context_.check(context_.api().cuOccupancyMaxActiveBlocksPerMultiprocessor(
                     &blocks, function.handle, static_cast<int>(threads), shared_bytes),
                 "cuOccupancyMaxActiveBlocksPerMultiprocessor", function.name);
  return blocks;
}

void DeviceQueue::submit(const Launch& shape, const void* const* values, const size_t* sizes,
                         size_t count) const {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  const Current current(context_);
  const Function& function = prepared(shape.kernel, shape.shared_bytes);
  check_arguments(function, sizes, count);
  Detour* detour = Detour::of(*this);
  if (detour != nullptr && detour->stream == nullptr) return add(detour->kernels, function.name);
  const CUstream target = detour != nullptr ? detour->stream : stream();
  void** parameters = const_cast<void**>(values);
  const CUresult status =
      shape.cooperative
          ? context_.api().cuLaunchCooperativeKernel(function.handle, shape.grid.x, shape.grid.y,
                                                     shape.grid.z, shape.block.x, shape.block.y,
                                                     shape.block.z, shape.shared_bytes, target, parameters)
          : context_.api().cuLaunchKernel(function.handle, shape.grid.x, shape.grid.y, shape.grid.z,
                                          shape.block.x, shape.block.y, shape.block.z, shape.shared_bytes,
                                          target, parameters, nullptr);
  if (status != CUDA_SUCCESS) {
    const std::string before = running();
    context_.check(status, "cuLaunchKernel",
                   "kernel " + function.name + ", grid " + text(shape.grid) + ", block " + text(shape.block) +
                       ", " + std::to_string(shape.shared_bytes) + " bytes of dynamic shared memory" +
                       (sticky(status) && !before.empty() ? ", " + before : ""));
  }
  if (detour == nullptr) launched({function.name});
}

void DeviceQueue::launched(const std::vector<std::string>& kernels) const {
  const std::lock_guard lock(running_mutex_);
  for (const std::string& kernel : kernels) add(running_, kernel);
}

std::string DeviceQueue::running() const {
  const std::lock_guard lock(running_mutex_);
  std::string names;
  for (const std::string& name : running_) names += (names.empty() ? "" : ", ") + name;
  if (names.empty()) return "";
  return running_.size() == 1 ? "after kernel " + names
                              : "after one of the kernels " + names +
                                    " (CUDA_LAUNCH_BLOCKING=1 in the environment finds which)";
}

void DeviceQueue::finished() const {
  const std::lock_guard lock(running_mutex_);
  running_.clear();
}

void DeviceQueue::load(const char* kernel) const {
  const Current current(context_);
  prepared(kernel, 0);
}

std::map<std::string, std::string> DeviceQueue::loaded() const {
  const std::lock_guard lock(modules_mutex_);
  return modules_.loaded();
}

}  // namespace tr0n::cuda
