#include "cuda/modules.h"

#include <algorithm>
#include <array>

#include "cuda/entries.h"

namespace tr0n::cuda {
namespace {

/// Whether another image may do where one failed so.
bool refused(CUresult status) { return status != CUDA_ERROR_OUT_OF_MEMORY && !sticky(status); }

}  // namespace

std::string describe(const Image& image) {
  return image.machine_code ? "sm_" + std::to_string(image.architecture)
                            : "compute_" + std::to_string(image.architecture) + " (PTX)";
}

std::vector<Image> candidates(const std::string& file, int compute_capability) {
  const Images embedded = images();
  std::vector<Image> fitting;
  for (size_t i = 0; i < embedded.count; ++i) {
    const Image& image = embedded.first[i];
    const bool fits = image.architecture <= compute_capability &&
                      (!image.machine_code || image.architecture / 10 == compute_capability / 10);
    if (fits && file == image.file) fitting.push_back(image);
  }
  std::sort(fitting.begin(), fitting.end(), [](const Image& a, const Image& b) {
    return a.machine_code != b.machine_code ? a.machine_code : a.architecture > b.architecture;
  });
  return fitting;
}

Modules::~Modules() {
  for (const auto& [file, module] : modules_) context_.api().cuModuleUnload(module);
}

CUmodule Modules::load(const std::string& file) {
  std::string tried;
  for (const Image& image : candidates(file, context_.compute_capability())) {
    std::array<char, 4096> log{};
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
    CUmodule module = nullptr;
    const CUresult status = context_.api().cuModuleLoadDataEx(&module, image.data, 2, options, values);
    if (status == CUDA_SUCCESS) {
      modules_[file] = module;
      descriptions_[file] = describe(image);
      return module;
    }
    log.back() = '\0';
    std::string what = describe(image) + ": " + status_text(context_.api(), status);
    if (log[0] != '\0') what.append(": ").append(log.data());
    if (!refused(status))
      context_.check(status, "cuModuleLoadDataEx", std::string(file).append(".cu: ").append(what));
    tried.append("\n  ").append(what);
  }
  throw Error("ERR_DEVICE_UNAVAILABLE", context_.name() + ": no image of " + file +
                                            ".cu can be loaded on compute capability " +
                                            std::to_string(context_.compute_capability() / 10) + "." +
                                            std::to_string(context_.compute_capability() % 10) +
                                            (tried.empty() ? ": none was built for it" : ". Tried:" + tried));
}

Function& Modules::function(const char* name) {
  const auto known = functions_.find(name);
  if (known != functions_.end()) return known->second;
  const auto entry = entries().find(name);
  if (entry == entries().end())
    throw Error("ERR_DEVICE_UNAVAILABLE",
                context_.name() + ": kernel " + name + " is not embedded in this build: " + images().origin);
  const auto found = modules_.find(entry->second.file);
  const CUmodule module = found == modules_.end() ? load(entry->second.file) : found->second;
  Function function;
  function.name = name;
  function.parameters = entry->second.parameters;
  context_.check(context_.api().cuModuleGetFunction(&function.handle, module, name), "cuModuleGetFunction",
                 name);
  int shared = 0;
  context_.check(
      context_.api().cuFuncGetAttribute(&shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function.handle),
      "cuFuncGetAttribute", name);
  function.static_shared = static_cast<size_t>(shared);
  constexpr size_t always_allowed = 49152;  // bytes, on every architecture
  function.allowed_shared = always_allowed - std::min(always_allowed, function.static_shared);
  return functions_.emplace(name, std::move(function)).first->second;
}

}  // namespace tr0n::cuda
