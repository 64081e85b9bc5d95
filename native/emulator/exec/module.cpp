#include <algorithm>
#include <cstring>
#include <functional>

#include "emulator/exec/decoder.h"
#include "emulator/memory/device_memory.h"
#include "emulator/report.h"

namespace tr0n::emulator {
namespace {

constexpr uint32_t kGap =
    128;  // between shared variables: accesses past an end are seen, banks stay as they were

uint32_t aligned(uint32_t value, uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

void place_globals(Module& module) {
  for (const Variable& variable : module.source.variables) {
    if (variable.space == Space::shared) continue;
    if (variable.is_external)
      throw PtxError(variable.line, "variable \"" + variable.name + "\" of another module");
    const uint64_t bytes = std::max<uint64_t>(variable.bytes, 1);
    const uint64_t address = device_memory().allocate(bytes, module.device, variable.name.c_str(), true);
    if (address == 0) throw Fault(cuda::CUDA_ERROR_OUT_OF_MEMORY);
    module.globals[variable.name] = {address, variable.bytes};
    std::byte* data = device_memory().data(address);
    std::memset(data, 0, bytes);
    std::memcpy(data, variable.initial.data(), variable.initial.size());
    std::memset(device_memory().shadow(address), kWritten, bytes);
  }
  for (const Variable& variable : module.source.variables) {
    for (const Variable::Pointer& pointer : variable.pointers) {
      const auto target = module.globals.find(pointer.symbol);
      if (target == module.globals.end())
        throw PtxError(variable.line, "undefined symbol \"" + pointer.symbol + "\"");
      const uint64_t address = target->second.address + static_cast<uint64_t>(pointer.addend);
      std::memcpy(device_memory().data(module.globals[variable.name].address) + pointer.at, &address, 8);
    }
  }
}

struct SharedLayout {
  std::vector<Function::Slot> common;            ///< of the module and of its functions
  std::vector<std::vector<Function::Slot>> own;  ///< of each entry
  uint32_t common_bytes = 0, dynamic_at = 0;
  std::vector<uint32_t> own_bytes;
};

/// The module's shared variables first, then each entry's own at the same place; dynamic memory behind the
/// longest.
SharedLayout lay_out_shared(Module& module) {
  SharedLayout layout;
  uint32_t at = 0;
  const auto place = [&](const Variable& variable, uint32_t& offset, std::vector<Function::Slot>& slots,
                         uint32_t& bytes) {
    const uint32_t align = std::max({variable.align, kGap, 1U});
    offset = aligned(offset, align);
    const uint32_t here = offset;
    slots.push_back({here, static_cast<uint32_t>(variable.bytes)});
    bytes = aligned(bytes, std::max(variable.align, 1U)) + static_cast<uint32_t>(variable.bytes);
    offset += static_cast<uint32_t>(variable.bytes) + kGap;
    return here;
  };
  for (const Variable& variable : module.source.variables) {
    if (variable.space == Space::shared && !variable.is_external)
      module.globals[variable.name] = {place(variable, at, layout.common, layout.common_bytes),
                                       variable.bytes};
  }
  const auto place_body = [&](const FunctionSource& function, uint32_t& offset,
                              std::vector<Function::Slot>& slots, uint32_t& bytes) {
    for (size_t v = 0; v < function.variables.size(); ++v) {
      if (function.variables[v].space != Space::shared) continue;
      module.globals[function.name + "#" + std::to_string(v)] = {
          place(function.variables[v], offset, slots, bytes), function.variables[v].bytes};
    }
  };
  for (const FunctionSource& function : module.source.functions) {
    if (!function.is_entry) place_body(function, at, layout.common, layout.common_bytes);
  }
  uint32_t furthest = at;
  for (const FunctionSource& function : module.source.functions) {
    layout.own.emplace_back();
    layout.own_bytes.push_back(0);
    if (!function.is_entry) continue;
    uint32_t end = at;
    place_body(function, end, layout.own.back(), layout.own_bytes.back());
    furthest = std::max(furthest, end);
  }
  layout.dynamic_at = furthest == 0 ? 0 : aligned(furthest, 1024);
  for (const Variable& variable : module.source.variables) {
    if (variable.space == Space::shared && variable.is_external)
      module.globals[variable.name] = {layout.dynamic_at, 0};
  }
  return layout;
}

/// The least bytes that any access to shared memory of the module has: what a cell of the race check may
/// hold.
uint32_t granule_of(const FunctionSource& function) {
  uint32_t least = 4;
  for (const Statement& statement : function.statements) {
    if (statement.opcode != "ld" && statement.opcode != "st" && statement.opcode != "atom" &&
        statement.opcode != "red")
      continue;
    const auto has = [&](std::string_view name) {
      return std::find(statement.modifiers.begin(), statement.modifiers.end(), name) !=
             statement.modifiers.end();
    };
    if (has("global") || has("local") || has("const") || has("param")) continue;
    unsigned count = has("v2") ? 2 : has("v4") ? 4 : 1;
    for (const std::string& modifier : statement.modifiers) {
      const unsigned bytes = bytes_of(type_named(modifier));
      if (bytes > 0) least = std::min(least, bytes * count);
    }
  }
  return least;
}

}  // namespace

const Function* Module::find(const std::string& name) const {
  const auto found = function_index.find(name);
  return found == function_index.end() ? nullptr : functions[found->second].get();
}

std::unique_ptr<Module> load_module(ModuleSource source, int device) {
  auto module = std::make_unique<Module>();
  module->source = std::move(source);
  module->device = device;
  try {
    std::erase_if(module->source.functions,
                  [](const FunctionSource& function) { return function.is_external; });
    place_globals(*module);
    const SharedLayout layout = lay_out_shared(*module);
    uint32_t granule = 4;
    for (const FunctionSource& function : module->source.functions) {
      if (!module->function_index.emplace(function.name, static_cast<uint32_t>(module->functions.size()))
               .second)
        throw PtxError(function.line, "\"" + function.name + "\" is defined twice");
      module->functions.push_back(std::make_unique<Function>());
      granule = std::min(granule, granule_of(function));
    }
    for (size_t k = 0; k < module->functions.size(); ++k) {
      Function& function = *module->functions[k];
      Decoder(*module, module->source.functions[k], function).run();
      function.first_counter = module->counters;
      module->counters += static_cast<uint32_t>(function.code.size());
      function.granule = granule;
      function.dynamic_shared_at = layout.dynamic_at;
      function.shared_bytes = layout.common_bytes + layout.own_bytes[k];
      function.shared_variables = layout.common;
      function.shared_variables.insert(function.shared_variables.end(), layout.own[k].begin(),
                                       layout.own[k].end());
    }
    // Over calls: atomics and local memory of the deepest chain; recursion gets room for a few levels.
    for (const auto& entry : module->functions) {
      const std::function<uint32_t(const Function&, int)> deepest = [&](const Function& function,
                                                                        int depth) -> uint32_t {
        uint32_t below = 0;
        if (function.has_global_atomics) entry->has_global_atomics = true;
        for (const uint32_t callee : function.callees) {
          if (depth < 8) below = std::max(below, deepest(*module->functions[callee], depth + 1));
        }
        return function.local_bytes + below;
      };
      entry->total_local_bytes = deepest(*entry, 0);
    }
  } catch (...) {
    unload_module(*module);
    throw;
  }
  return module;
}

void unload_module(Module& module) {
  for (const auto& [name, global] : module.globals) {
    if (window_of(global.address) == window_of(kDeviceWindow)) device_memory().release(global.address, true);
  }
  module.globals.clear();
}

}  // namespace tr0n::emulator
