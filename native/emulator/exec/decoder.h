#pragma once
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "emulator/exec/program.h"

namespace tr0n::emulator {

/// The dotted suffixes of an opcode; each is taken once, and one that nobody takes makes the instruction
/// unknown.
class Modifiers {
 public:
  explicit Modifiers(const Statement& statement)
      : statement_(statement), taken_(statement.modifiers.size(), false) {}
  bool take(std::string_view name);
  /// The index in `names` of the one that is there; `otherwise` when none is.
  int take_one(std::initializer_list<std::string_view> names, int otherwise = -1);
  /// The next type among the rest; `none` when there is none.
  Type take_type();
  Type expect_type();
  void take_any(std::initializer_list<std::string_view> names);  ///< hints without a meaning here
  bool finished() const;
  [[noreturn]] void unknown() const;  ///< throws: unknown instruction

 private:
  const Statement& statement_;
  std::vector<bool> taken_;
};

class Decoder;
using DecodeFunction = void (*)(Decoder& decoder, const Statement& statement, Modifiers& modifiers,
                                Inst& inst);
using DecodeTable = std::unordered_map<std::string_view, DecodeFunction>;

// One table for each family of instructions.
const DecodeTable& integer_instructions();
const DecodeTable& float_instructions();
const DecodeTable& logic_instructions();
const DecodeTable& compare_instructions();
const DecodeTable& convert_instructions();
const DecodeTable& memory_instructions();
const DecodeTable& atomic_instructions();
const DecodeTable& warp_instructions();
const DecodeTable& control_instructions();
const DecodeTable& async_instructions();
const DecodeTable& tensor_instructions();
const DecodeTable& wmma_instructions();

/// Turns one function's statements into Inst; branches are resolved and reconvergence points set at the end.
class Decoder {
 public:
  Decoder(Module& module, const FunctionSource& source, Function& out);
  void run();

  // Operands to offsets. A source may be an immediate or a symbol's address: it becomes a constant row.
  uint32_t source(const Statement& statement, size_t index, Type type);
  uint32_t source(const Operand& operand, Type type);
  uint32_t destination(const Statement& statement, size_t index, Type type);
  uint32_t destination(const Operand& operand, Type type);  ///< "_" gives a row that nobody reads
  uint32_t predicate_source(const Operand& operand, bool& negated);
  uint32_t predicate_destination(const Operand& operand);
  /// Appends offsets of every element of a vector, or of a single operand.
  void list(const Operand& operand, Type type, bool is_destination, std::vector<uint32_t>& offsets);
  uint32_t constant(uint64_t bits, unsigned bytes);
  uint32_t pool(const std::vector<uint32_t>& offsets);
  const Operand& operand(const Statement& statement, size_t index) const;
  void expect_count(const Statement& statement, size_t least, size_t most) const;
  /// The address operand: offset of its register row and its constant part in inst.imm. True where it is
  /// wide.
  bool address(const Statement& statement, size_t index, Space space, Inst& inst, uint32_t& row);
  uint32_t branch_target(const std::string& name, int scope, int line) const;  ///< a statement's index
  Type register_type(const Operand& operand) const;
  [[noreturn]] void fail(const std::string& what) const;

  /// Where a symbol's address comes from.
  struct Place {
    Space space;
    uint64_t address;  ///< in its space
    bool in_frame;     ///< .param variable of a body, or a parameter of a .func: an offset in the frame
    bool is_local;     ///< to be added to the frame's local base
    uint32_t bytes;
  };
  Place place(const std::string& symbol) const;

  Module& module;
  const FunctionSource& function;
  Function& out;
  int line = 0;

 private:
  void lay_out_frame();
  uint32_t reg(int number) const { return offsets_[static_cast<size_t>(number)]; }
  std::vector<uint32_t> offsets_;  ///< of registers
  std::vector<uint32_t> variable_offsets_;
  std::map<std::pair<uint64_t, unsigned>, uint32_t>
      constants_;  ///< (bits, bytes) to offset from the constants' begin
  uint32_t next_constant_ = 0;
  uint32_t sink_ = 0;
};

/// The state space among the modifiers; generic where there is none.
Space take_space(Modifiers& modifiers);

/// Rows of one value: 256 bytes for 64 bits, 128 for less.
inline uint32_t row_bytes(Type type) { return bytes_of(type) == 8 ? 256 : 128; }
/// Splits a function into basic blocks and gives each branch its reconvergence point (cfg.cpp). `code` grows
/// by the marks at those points.
void insert_reconvergence(Function& function);
extern const Handler kReconverge;
bool is_branch(const Inst& inst);        ///< target is a place in the code
bool ends_path(const Inst& inst);        ///< ret, exit, trap
bool is_table_branch(const Inst& inst);  ///< brx: targets in the pool

}  // namespace tr0n::emulator
