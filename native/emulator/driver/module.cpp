#include <algorithm>
#include <cstring>

#include "emulator/config.h"
#include "emulator/driver/driver.h"
#include "emulator/driver/limits.h"

namespace tr0n::cuda {
namespace {

/// The newest PTX version that a driver of this version compiles: 9.0 came with 13.0, 8.x with 12.x, 7.x
/// with 11.x.
int newest_ptx(int driver_version) {
  const int major = driver_version / 1000, minor = driver_version % 1000 / 10;
  if (major >= 13) return 90 + minor;
  if (major == 12)
    return minor <= 6 ? 80 + std::min(minor, 5) : 80 + std::min(minor, 9) - (minor == 9 ? 1 : 0);
  if (major == 11) return 70 + std::min(minor, 8);
  return 65;
}

struct Log {
  char* text = nullptr;
  size_t size = 0;
  void write(const std::string& line) const {
    if (text == nullptr || size == 0) return;
    const size_t count = std::min(size - 1, line.size());
    std::memcpy(text, line.data(), count);
    text[count] = '\0';
  }
};

Log error_log(unsigned count, const CUjit_option* options, void** values) {
  Log log;
  for (unsigned k = 0; k < count && options != nullptr && values != nullptr; ++k) {
    if (options[k] == CU_JIT_ERROR_LOG_BUFFER) log.text = static_cast<char*>(values[k]);
    if (options[k] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) log.size = reinterpret_cast<uintptr_t>(values[k]);
  }
  return log;
}

enum class Image { ptx, machine_code, unknown };
Image kind_of(const void* image) {
  const auto* bytes = static_cast<const unsigned char*>(image);
  uint32_t magic = 0;
  if (bytes[0] == 0x7F && bytes[1] == 'E' && bytes[2] == 'L' && bytes[3] == 'F') return Image::machine_code;
  if (bytes[0] != 0 && bytes[1] != 0 && bytes[2] != 0) std::memcpy(&magic, bytes, 4);
  if (magic == 0xBA55ED50 || magic == 0x466243B1) return Image::machine_code;
  const char* text = static_cast<const char*>(image);
  while (*text == ' ' || *text == '\n' || *text == '\t' || *text == '\r') ++text;
  return *text == '.' || *text == '/' ? Image::ptx : Image::unknown;
}

CUresult load(CUmodule* module, const void* image, const Log& log) {
  if (module == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  switch (kind_of(image)) {
    case Image::machine_code:
      log.write("the emulator executes PTX only");
      return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case Image::unknown:
      return CUDA_ERROR_INVALID_IMAGE;
    case Image::ptx:
      break;
  }
  try {
    emulator::ModuleSource source = emulator::parse_ptx(static_cast<const char*>(image));
    if (source.version > newest_ptx(emulator::config().driver_version)) {
      log.write("unsupported .version " + std::to_string(source.version / 10) + "." +
                std::to_string(source.version % 10));
      return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    }
    const bool exact = source.target_name.back() == 'a', family = source.target_name.back() == 'f';
    const int device = emulator::config().compute_capability;
    if (source.target > device || (exact && source.target != device) ||
        (family && source.target / 10 != device / 10)) {
      log.write("target " + source.target_name + " is not for a device of sm_" + std::to_string(device));
      return CUDA_ERROR_INVALID_PTX;
    }
    auto created = std::make_unique<CUmod_st>();
    created->context = current_context();
    created->module = emulator::load_module(std::move(source), created->context->device);
    for (const auto& function : created->module->functions) {
      if (!function->is_entry) continue;
      auto handle = std::make_unique<CUfunc_st>(CUfunc_st{created.get(), function.get(), 0});
      driver().functions.insert(handle.get());
      created->functions[function->name] = std::move(handle);
    }
    driver().modules.insert(created.get());
    *module = created.release();
    return CUDA_SUCCESS;
  } catch (const emulator::PtxError& error) {
    log.write(error.what());
    emulator::Violation violation;
    violation.kind = emulator::Kind::unknown_instruction;
    violation.kernel = "cuModuleLoadData";
    violation.line = error.line;
    violation.what = error.what();
    emulator::report(std::move(violation));
    return CUDA_ERROR_INVALID_PTX;
  }
}

}  // namespace

extern "C" {

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return entry("cuModuleLoadData", Needs::context, [&] { return load(module, image, Log{}); });
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option* options,
                            void** values) {
  return entry("cuModuleLoadDataEx", Needs::context,
               [&] { return load(module, image, error_log(count, options, values)); });
}

CUresult cuModuleUnload(CUmodule module) {
  return entry("cuModuleUnload", Needs::context, [&] {
    if (driver().modules.count(module) == 0) {
      misuse("cuModuleUnload", emulator::Kind::double_free,
             "unloads a module that is not, or no longer, loaded");
      return CUDA_ERROR_INVALID_HANDLE;
    }
    run_all();
    for (const auto& [name, function] : module->functions) driver().functions.erase(function.get());
    emulator::unload_module(*module->module);
    driver().modules.erase(module);
    delete module;
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return entry("cuModuleGetFunction", Needs::context, [&] {
    if (function == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (driver().modules.count(module) == 0) return CUDA_ERROR_INVALID_HANDLE;
    const auto found = module->functions.find(name);
    if (found == module->functions.end()) return CUDA_ERROR_NOT_FOUND;
    *function = found->second.get();
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* pointer, size_t* bytes, CUmodule module, const char* name) {
  return entry("cuModuleGetGlobal_v2", Needs::context, [&] {
    if (name == nullptr || (pointer == nullptr && bytes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    if (driver().modules.count(module) == 0) return CUDA_ERROR_INVALID_HANDLE;
    const auto found = module->module->globals.find(name);
    if (found == module->module->globals.end() || found->second.address < (uint64_t{1} << 52))
      return CUDA_ERROR_NOT_FOUND;
    if (pointer != nullptr) *pointer = found->second.address;
    if (bytes != nullptr) *bytes = found->second.bytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
  return entry("cuFuncGetAttribute", Needs::context, [&] {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (driver().functions.count(function) == 0) return CUDA_ERROR_INVALID_HANDLE;
    const emulator::Function& f = *function->function;
    switch (attribute) {
      case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = max_threads_of(f);
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = static_cast<int>(f.shared_bytes);
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
        *value = 0;
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = static_cast<int>(f.total_local_bytes);
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = registers_of(f);
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *value = function->module->module->source.target;
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *value = emulator::config().compute_capability;
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = std::max(function->max_dynamic_shared, kSharedDefault - static_cast<int>(f.shared_bytes));
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *value = -1;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  return entry("cuFuncSetAttribute", Needs::context, [&] {
    if (driver().functions.count(function) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
      return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_ERROR_INVALID_VALUE;
    if (value < 0 ||
        value + static_cast<int>(function->function->shared_bytes) > limits().shared_per_block_optin)
      return CUDA_ERROR_INVALID_VALUE;
    function->max_dynamic_shared = value;
    return CUDA_SUCCESS;
  });
}

CUresult cuFuncGetName(const char** name, CUfunction function) {
  return entry("cuFuncGetName", Needs::context, [&] {
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (driver().functions.count(function) == 0) return CUDA_ERROR_INVALID_HANDLE;
    *name = function->function->name.c_str();
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
