#include "emulator/exec/decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "emulator/exec/half.h"

namespace tr0n::emulator {
namespace {

uint32_t aligned(uint32_t value, uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

Decoder::Decoder(Module& module_, const FunctionSource& source, Function& out_)
    : module(module_), function(source), out(out_) {}

void Decoder::fail(const std::string& what) const { throw PtxError(line, what); }

void Decoder::lay_out_frame() {
  uint32_t at = 4;  // the predicate that is always true
  offsets_.resize(function.registers.size());
  for (size_t r = 0; r < offsets_.size(); ++r) {
    if (function.registers[r] != Type::pred) continue;
    offsets_[r] = at;
    at += 4;
  }
  out.carry = at;
  at = aligned(at + 4, kFrameAlign);
  out.registers_begin = at;
  for (size_t r = 0; r < offsets_.size(); ++r) {
    const Special special = special_named(function.register_names[r]);
    if (function.registers[r] == Type::pred || special != Special::none) continue;
    offsets_[r] = at;
    at += row_bytes(function.registers[r]);
    out.register_count += bytes_of(function.registers[r]) == 8 ? 2 : 1;
  }
  sink_ = at;
  at += 256;
  out.registers_end = at;
  for (size_t r = 0; r < offsets_.size(); ++r) {
    const Special special = special_named(function.register_names[r]);
    if (special == Special::none) continue;
    offsets_[r] = at;
    out.specials.emplace_back(at, special);
    at += row_bytes(type_of(special));
  }
  // Parameters of calls: for every lane as many bytes, up to a multiple of 16.
  const auto blob = [&](const Variable& variable) {
    const uint32_t offset = at;
    at += aligned(static_cast<uint32_t>(variable.bytes), 16) * 32;
    return offset;
  };
  variable_offsets_.assign(function.variables.size(), 0);
  uint32_t local = 0;
  for (size_t v = 0; v < function.variables.size(); ++v) {
    const Variable& variable = function.variables[v];
    if (variable.space == Space::param) variable_offsets_[v] = blob(variable);
    if (variable.space == Space::local) {
      local = aligned(local, std::max(variable.align, 1U));
      variable_offsets_[v] = local;
      local += static_cast<uint32_t>(variable.bytes);
    }
  }
  out.local_bytes = aligned(local, 16);
  uint32_t parameter_at = 0;
  for (const Variable& parameter : function.parameters) {
    const auto bytes = static_cast<uint32_t>(parameter.bytes);
    if (function.is_entry) {
      parameter_at = aligned(parameter_at, std::max(parameter.align, 1U));
      out.parameters.push_back({parameter_at, bytes});
      parameter_at += bytes;
    } else {
      out.parameters.push_back({blob(parameter), bytes});
    }
  }
  out.parameter_bytes = parameter_at;
  for (const Variable& result : function.results)
    out.results.push_back({blob(result), static_cast<uint32_t>(result.bytes)});
  out.constants_begin = aligned(at, 256);
}

uint32_t Decoder::constant(uint64_t bits, unsigned bytes) {
  const auto [found, fresh] = constants_.try_emplace({bits, bytes == 8 ? 8U : 4U}, next_constant_);
  if (fresh) {
    const uint32_t size = bytes == 8 ? 256 : 128;
    out.constants.resize(next_constant_ + size);
    for (uint32_t l = 0; l < 32; ++l)
      std::memcpy(out.constants.data() + next_constant_ + l * size / 32, &bits, size / 32);
    next_constant_ += size;
  }
  return out.constants_begin + found->second;
}

uint32_t Decoder::pool(const std::vector<uint32_t>& offsets) {
  const auto first = static_cast<uint32_t>(out.pool.size());
  out.pool.insert(out.pool.end(), offsets.begin(), offsets.end());
  return first;
}

const Operand& Decoder::operand(const Statement& statement, size_t index) const {
  if (index >= statement.operands.size()) fail(statement.opcode + ": too few operands");
  return statement.operands[index];
}

void Decoder::expect_count(const Statement& statement, size_t least, size_t most) const {
  const size_t count = statement.operands.size();
  if (count >= least && count <= most) return;
  fail(statement.opcode + " takes " + std::to_string(least) +
       (most > least ? " to " + std::to_string(most) : "") + " operands, found " + std::to_string(count));
}

uint32_t Decoder::source(const Statement& statement, size_t index, Type type) {
  return source(operand(statement, index), type);
}

uint32_t Decoder::source(const Operand& operand, Type type) {
  const unsigned bytes = bytes_of(type);
  switch (operand.kind) {
    case Operand::Kind::reg: {
      const Type declared = function.registers[static_cast<size_t>(operand.reg)];
      const std::string& name = function.register_names[static_cast<size_t>(operand.reg)];
      if (declared == Type::pred || operand.negated)
        fail("a predicate \"" + name + "\" where a value is expected");
      if ((bytes_of(declared) == 8) != (bytes == 8) || bytes_of(declared) < bytes)
        fail("register \"" + name + "\" has not the width that the instruction takes");
      return reg(operand.reg);
    }
    case Operand::Kind::immediate: {
      auto bits = static_cast<uint64_t>(operand.value);
      if (is_float(type) && operand.is_float) {
        const double wide = operand.float_bytes == 4
                                ? static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)))
                                : std::bit_cast<double>(bits);
        if (type == Type::f64)
          bits = operand.float_bytes == 8 ? bits : std::bit_cast<uint64_t>(wide);
        else if (type == Type::f32 || type == Type::tf32)
          bits = operand.float_bytes == 4 ? bits : std::bit_cast<uint32_t>(static_cast<float>(wide));
        else if (type == Type::f16)
          bits = half_from(wide, Rounding::nearest);
        else if (type == Type::bf16)
          bits = bfloat_from(wide, Rounding::nearest);
      }
      if (bytes < 8) bits &= (uint64_t{1} << 8 * std::max(bytes, 1U)) - 1;
      return constant(bits, bytes);
    }
    case Operand::Kind::symbol: {
      const Place where = place(operand.symbol);
      if (where.in_frame || where.is_local)
        fail("the address of \"" + operand.symbol + "\" is not a constant here");
      return constant(where.address + static_cast<uint64_t>(operand.value), bytes);
    }
    default:
      fail("an operand of this kind is not expected here");
  }
}

uint32_t Decoder::destination(const Statement& statement, size_t index, Type type) {
  return destination(operand(statement, index), type);
}

uint32_t Decoder::destination(const Operand& operand, Type type) {
  if (operand.kind == Operand::Kind::discard) return sink_;
  if (operand.kind != Operand::Kind::reg) fail("a destination has to be a register");
  const Type declared = function.registers[static_cast<size_t>(operand.reg)];
  const std::string& name = function.register_names[static_cast<size_t>(operand.reg)];
  if (special_named(name) != Special::none) fail("special register \"" + name + "\" cannot be written");
  if (declared == Type::pred) fail("a predicate \"" + name + "\" where a value is expected");
  if ((bytes_of(declared) == 8) != (bytes_of(type) == 8) || bytes_of(declared) < bytes_of(type))
    fail("register \"" + name + "\" has not the width that the instruction gives");
  return reg(operand.reg);
}

uint32_t Decoder::predicate_source(const Operand& operand, bool& negated) {
  negated = operand.negated;
  if (operand.kind == Operand::Kind::immediate) {
    negated = operand.value == 0;
    return 0;
  }
  return predicate_destination(operand);
}

uint32_t Decoder::predicate_destination(const Operand& operand) {
  if (operand.kind == Operand::Kind::discard) return sink_;
  if (operand.kind != Operand::Kind::reg ||
      function.registers[static_cast<size_t>(operand.reg)] != Type::pred)
    fail("a predicate register is expected");
  return reg(operand.reg);
}

void Decoder::list(const Operand& operand, Type type, bool is_destination, std::vector<uint32_t>& offsets) {
  if (operand.kind == Operand::Kind::vector) {
    for (const Operand& part : operand.parts) list(part, type, is_destination, offsets);
    return;
  }
  offsets.push_back(is_destination ? destination(operand, type) : source(operand, type));
}

Type Decoder::register_type(const Operand& operand) const {
  return operand.kind == Operand::Kind::reg ? function.registers[static_cast<size_t>(operand.reg)]
                                            : Type::none;
}

bool Decoder::address(const Statement& statement, size_t index, Space space, Inst& inst, uint32_t& row) {
  const Operand& at = operand(statement, index);
  if (at.kind != Operand::Kind::address) fail(statement.opcode + ": an address in brackets is expected");
  inst.imm = at.value;
  if (at.has_base) {
    const Type declared = function.registers[static_cast<size_t>(at.reg)];
    if (bytes_of(declared) < 4) fail("an address has to be in a 32-bit or 64-bit register");
    row = reg(at.reg);
    if (bytes_of(declared) == 4 &&
        (space == Space::generic || space == Space::global || space == Space::constant))
      fail("an address in this state space takes a 64-bit register");
    return bytes_of(declared) == 8;
  }
  if (at.symbol.empty()) {
    row = constant(0, 8);
    return true;
  }
  const Place where = place(at.symbol);
  const bool same = where.space == space || space == Space::generic ||
                    (where.space == Space::param && space == Space::param);
  if (!same) fail("\"" + at.symbol + "\" lies in another state space");
  if (where.is_local && !function.is_entry) fail("local variables of functions are addressed by registers");
  row = constant(where.in_frame ? 0 : where.address, 8);
  return true;
}

Decoder::Place Decoder::place(const std::string& symbol) const {
  if (symbol[0] == '#') {
    const size_t v = static_cast<size_t>(std::atoi(symbol.c_str() + 1));
    const Variable& variable = function.variables[v];
    const auto bytes = static_cast<uint32_t>(variable.bytes);
    if (variable.space == Space::param) return {Space::param, variable_offsets_[v], true, false, bytes};
    if (variable.space == Space::local) return {Space::local, variable_offsets_[v], false, true, bytes};
    const auto found = module.globals.find(function.name + "#" + std::to_string(v));
    return {Space::shared, found->second.address, false, false, bytes};
  }
  for (size_t p = 0; p < function.parameters.size(); ++p) {
    if (function.parameters[p].name == symbol)
      return {Space::param, out.parameters[p].offset, !function.is_entry, false, out.parameters[p].bytes};
  }
  for (size_t p = 0; p < function.results.size(); ++p) {
    if (function.results[p].name == symbol)
      return {Space::param, out.results[p].offset, true, false, out.results[p].bytes};
  }
  const auto found = module.globals.find(symbol);
  if (found == module.globals.end()) fail("undefined symbol \"" + symbol + "\"");
  Space space = Space::global;
  for (const Variable& variable : module.source.variables) {
    if (variable.name == symbol) space = variable.space;
  }
  return {space, found->second.address, false, false, static_cast<uint32_t>(found->second.bytes)};
}

uint32_t Decoder::branch_target(const std::string& name, int scope, int at_line) const {
  for (int s = scope; s >= 0; s = function.scope_parents[static_cast<size_t>(s)]) {
    for (const Label& label : function.labels) {
      if (label.scope == s && label.name == name) return static_cast<uint32_t>(label.at);
    }
  }
  throw PtxError(at_line, "no label \"" + name + "\"");
}

void Decoder::run() {
  out.name = function.name;
  out.is_entry = function.is_entry;
  out.line = function.line;
  out.max_threads = function.max_threads;
  std::copy(std::begin(function.required_threads), std::end(function.required_threads), out.required_threads);
  lay_out_frame();
  static const DecodeTable* const tables[] = {
      &integer_instructions(), &float_instructions(),  &logic_instructions(),  &compare_instructions(),
      &convert_instructions(), &memory_instructions(), &atomic_instructions(), &warp_instructions(),
      &control_instructions(), &async_instructions(),  &tensor_instructions(), &wmma_instructions()};
  for (const Statement& statement : function.statements) {
    line = statement.line;
    Inst inst;
    inst.line = line;
    Modifiers modifiers(statement);
    DecodeFunction decode = nullptr;
    for (const DecodeTable* table : tables) {
      const auto found = table->find(statement.opcode);
      if (found != table->end()) decode = found->second;
    }
    if (decode == nullptr) modifiers.unknown();
    if (statement.guard >= 0) {
      if (function.registers[static_cast<size_t>(statement.guard)] != Type::pred)
        fail("a guard has to be a predicate");
      inst.guard = reg(statement.guard);
      inst.flip = statement.guard_negated ? ~0U : 0U;
    }
    decode(*this, statement, modifiers, inst);
    if (!modifiers.finished()) modifiers.unknown();
    out.code.push_back(inst);
  }
  // Control may run to the end of the body.
  Inst end;
  end.line = function.statements.empty() ? function.line : function.statements.back().line;
  Statement ret;
  ret.opcode = "ret";
  Modifiers none(ret);
  control_instructions().at("ret")(*this, ret, none, end);
  out.code.push_back(end);
  out.frame_bytes = out.constants_begin + static_cast<uint32_t>(out.constants.size());
  insert_reconvergence(out);
}

}  // namespace tr0n::emulator
