#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "emulator/ptx/source.h"
#include "emulator/ptx/special.h"

/// Programs as they are executed: every name resolved, every operand an offset into a warp's register file.
namespace tr0n::emulator {

struct Warp;
struct Inst;
/// Executes one instruction for the lanes of `mask`, which is not empty.
using Handler = void (*)(Warp& warp, const Inst& inst, uint32_t mask);

/// What a profiler would file an instruction under.
enum class Class : uint8_t {
  fp32,
  fp64,
  fp16,
  integer,
  conversion,
  special,
  move,
  control,
  load_global,
  store_global,
  load_shared,
  store_shared,
  local,
  parameter,
  atomic,
  shuffle,
  barrier,
  tensor,
  async_copy,
  other,
  count
};
const char* name_of(Class group);

struct Inst {
  Handler run = nullptr;
  uint32_t dst = 0, a = 0, b = 0, c = 0;  ///< offsets in the frame
  uint32_t guard = 0, flip = 0;           ///< lanes execute where (predicate ^ flip) is set
  int64_t imm = 0;
  uint32_t aux = 0;              ///< what a handler needs besides
  uint32_t list = 0;             ///< first of its further operands in Function::pool
  uint32_t target = 0, rpc = 0;  ///< of a branch: where to, and where its lanes meet again
  int line = 0;
  Class group = Class::other;
  uint8_t flops = 0;          ///< per lane
  uint32_t tensor_flops = 0;  ///< per warp
};

constexpr uint32_t kNoReconvergence = ~uint32_t{0};
constexpr uint32_t kFrameAlign = 64;

struct Function {
  std::string name;
  bool is_entry = false;
  int line = 0;
  std::vector<Inst> code;
  std::vector<uint32_t> pool;
  uint32_t first_counter = 0;  ///< where its instructions start in a launch's profile

  // The frame: predicates (the first always true), registers, special registers, constants, parameters.
  uint32_t frame_bytes = 0;
  uint32_t registers_begin = 0, registers_end = 0;
  uint32_t carry = 0;  ///< predicate row of the condition code
  std::vector<std::pair<uint32_t, Special>> specials;
  uint32_t constants_begin = 0;
  std::vector<std::byte> constants;

  struct Slot {
    uint32_t offset, bytes;
  };
  std::vector<Slot> parameters, results;  ///< entry: offsets in the launch's parameters; else in the frame
  uint32_t parameter_bytes = 0;           ///< of an entry
  uint32_t local_bytes = 0;               ///< of one thread
  std::vector<uint32_t> callees;
  uint32_t max_threads = 0;
  uint32_t required_threads[3] = {0, 0, 0};
  uint32_t register_count = 0;  ///< 32-bit registers declared: an upper bound of what an assembler would use

  // Of an entry and everything it calls:
  uint32_t shared_bytes = 0;           ///< as a driver counts them
  uint32_t dynamic_shared_at = 0;      ///< where dynamic shared memory begins in the emulated layout
  std::vector<Slot> shared_variables;  ///< of the emulated layout, with gaps in between
  uint32_t granule = 4;                ///< bytes that share one cell of the race check
  bool has_global_atomics = false;
  uint32_t total_local_bytes = 0;
  uint32_t counters = 0;  ///< of the module
};

struct Module {
  ModuleSource source;
  std::vector<std::unique_ptr<Function>> functions;
  std::unordered_map<std::string, uint32_t> function_index;
  struct Global {
    uint64_t address, bytes;
  };
  std::unordered_map<std::string, Global> globals;  ///< .global and .const
  int device = 0;
  uint32_t counters = 0;
  const Function* find(const std::string& name) const;
};

/// Decodes a module and places its variables in the memory of `device`; throws PtxError, or Fault when the
/// memory does not suffice.
std::unique_ptr<Module> load_module(ModuleSource source, int device);
void unload_module(Module& module);

}  // namespace tr0n::emulator
