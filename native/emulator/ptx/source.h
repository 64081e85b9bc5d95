#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// PTX as it is written: what the parser makes of a text, before instructions are understood.
namespace tr0n::emulator {

/// A defect of a PTX text: unknown instruction, undefined name, syntax.
class PtxError : public std::runtime_error {
 public:
  PtxError(int line_, const std::string& what)
      : std::runtime_error("line " + std::to_string(line_) + ": " + what), line(line_) {}
  int line;
};

/// Fundamental types (PTX ISA 5.2) and the packed ones; `none` where an instruction has no type.
enum class Type : uint8_t {
  none,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  tf32,
  f32,
  f64,
  pred
};
unsigned bytes_of(Type type);  ///< 1 to 16; 0 for none and pred
/// From a name without its dot; none for anything else.
Type type_named(std::string_view name);
inline bool is_signed(Type type) { return type >= Type::s8 && type <= Type::s64; }
inline bool is_float(Type type) { return type >= Type::f16 && type <= Type::f64; }

enum class Space : uint8_t { generic, global, shared, local, constant, param };

struct Variable {
  std::string name;
  Space space = Space::generic;
  Type type = Type::none;
  uint32_t align = 1;
  uint64_t bytes = 0;
  bool is_external = false;  ///< .extern: dynamic shared memory, or a symbol of another module
  int line = 0;
  std::vector<uint8_t> initial;  ///< as many bytes as were written out; the rest is zero
  struct Pointer {
    uint64_t at;
    std::string symbol;
    int64_t addend;
    bool generic;
  };
  std::vector<Pointer> pointers;  ///< addresses of other variables inside `initial`
};

struct Operand {
  enum class Kind : uint8_t { reg, immediate, symbol, address, vector, discard };
  Kind kind = Kind::discard;
  bool negated = false;     ///< !%p, or -%r where an operator allows it
  bool is_float = false;    ///< an immediate written as a floating-point number
  bool has_base = false;    ///< address: `base` is a register
  uint8_t float_bytes = 0;  ///< 4 for 0f…, 8 for 0d… and decimals
  int reg = -1;             ///< register number in the function
  int64_t value = 0;        ///< bits of an immediate; offset of an address or symbol
  std::string symbol;
  std::vector<Operand> parts;  ///< of a vector
};

/// One instruction. `first|second` destinations are two operands, the second with index `pair`.
struct Statement {
  std::string opcode;                  ///< up to the first dot: "ld"
  std::vector<std::string> modifiers;  ///< the rest: "global", "v4", "f32"
  std::vector<Operand> operands;
  int guard = -1;  ///< predicate register
  bool guard_negated = false;
  bool paired = false;  ///< operands[1] was written after a | in the first place
  int line = 0;
  int scope = 0;  ///< where names of labels are looked up
  // call: its callee, arguments and results
  std::string callee;
  std::vector<std::string> results, arguments;
};

struct Label {
  std::string name;
  int scope;
  size_t at;  ///< index of the statement that follows
};

struct BranchTable {
  std::string name;
  std::vector<std::string> targets;
  int scope;
};

struct FunctionSource {
  std::string name;
  bool is_entry = false, is_external = false;
  int line = 0;
  std::vector<Variable> results, parameters;
  std::vector<Type> registers;
  std::vector<std::string> register_names;  ///< for messages
  std::vector<Variable> variables;          ///< .local, .shared and .param of the body
  std::vector<Statement> statements;
  std::vector<Label> labels;
  std::vector<BranchTable> tables;
  std::vector<int> scope_parents;  ///< of each scope; scope 0 is the body
  uint32_t max_threads = 0;        ///< .maxntid's product; 0 where not given
  uint32_t required_threads[3] = {0, 0, 0};
};

struct ModuleSource {
  int version = 0;  ///< 90 for .version 9.0
  int target = 0;   ///< 80 for sm_80
  std::string target_name;
  std::vector<Variable> variables;
  std::vector<FunctionSource> functions;
};

ModuleSource parse_ptx(std::string_view text);

}  // namespace tr0n::emulator
