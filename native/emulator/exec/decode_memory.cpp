#include <cstring>

#include "emulator/exec/access.h"
#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

// Inst::aux of loads and stores: elements | bytes of one << 8 | space << 16 | wide address << 24 | wide
// registers << 25. list: their registers.
struct Shape {
  uint32_t count, bytes;
  Space space;
  bool wide;
  explicit Shape(const Inst& i)
      : count(i.aux & 0xFF),
        bytes(i.aux >> 8 & 0xFF),
        space(static_cast<Space>(i.aux >> 16 & 0xFF)),
        wide((i.aux >> 24 & 1) != 0) {}
};

/// E: the element in memory; R: the register, which it is extended to.
template <class E, class R>
void run_load(Warp& w, const Inst& i, uint32_t mask) {
  const Shape shape(i);
  uint64_t addresses[kLanes];
  addresses_of(w, i, shape.wide, addresses);
  Pointers from;
  pointers(shape.space, w, i, mask, addresses, shape.count * static_cast<unsigned>(sizeof(E)), Access::read,
           from);
  const uint32_t* registers = w.function->pool.data() + i.list;
  for (uint32_t k = 0; k < shape.count; ++k) {
    auto* dst = w.row<Element<R>>(registers[k]);
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) == 0) continue;
      E value;
      std::memcpy(&value, from.at[l] + k * sizeof(E), sizeof(E));
      dst[l] = element_of<R>(static_cast<R>(value));
    }
  }
}

/// R: the register, whose lowest bytes are stored.
template <class E, class R>
void run_store(Warp& w, const Inst& i, uint32_t mask) {
  const Shape shape(i);
  uint64_t addresses[kLanes];
  addresses_of(w, i, shape.wide, addresses);
  Pointers to;
  pointers(shape.space, w, i, mask, addresses, shape.count * static_cast<unsigned>(sizeof(E)), Access::write,
           to);
  const uint32_t* registers = w.function->pool.data() + i.list;
  for (uint32_t k = 0; k < shape.count; ++k) {
    const auto* source = w.row<Element<R>>(registers[k]);
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) == 0) continue;
      const E value = static_cast<E>(source[l]);
      std::memcpy(to.at[l] + k * sizeof(E), &value, sizeof(E));
    }
  }
}

/// Parameters of a kernel: one copy for all.
template <class E, class R>
void run_load_parameter(Warp& w, const Inst& i, uint32_t mask) {
  const Shape shape(i);
  const auto& parameters = w.launch->parameters;
  const uint32_t* registers = w.function->pool.data() + i.list;
  uint64_t offsets[kLanes];
  addresses_of(w, i, true, offsets);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const uint64_t bytes = shape.count * sizeof(E);
    if (offsets[l] > parameters.size() || bytes > parameters.size() - offsets[l])
      w.fault(i, l, Kind::out_of_bounds,
              "reads parameters at " + std::to_string(offsets[l]) + " of " +
                  std::to_string(parameters.size()) + " bytes");
    for (uint32_t k = 0; k < shape.count; ++k) {
      E value;
      std::memcpy(&value, parameters.data() + offsets[l] + k * sizeof(E), sizeof(E));
      w.row<Element<R>>(registers[k])[l] = element_of<R>(static_cast<R>(value));
    }
  }
}

// Parameters of calls lie in the frame, lane after lane; b: bytes from lane to lane.
template <class E, class R>
void run_load_frame(Warp& w, const Inst& i, uint32_t mask) {
  const Shape shape(i);
  const uint32_t* registers = w.function->pool.data() + i.list;
  for (uint32_t k = 0; k < shape.count; ++k) {
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) == 0) continue;
      E value;
      std::memcpy(&value, w.frame + i.imm + static_cast<uint32_t>(l) * i.b + k * sizeof(E), sizeof(E));
      w.row<Element<R>>(registers[k])[l] = element_of<R>(static_cast<R>(value));
    }
  }
}
template <class E, class R>
void run_store_frame(Warp& w, const Inst& i, uint32_t mask) {
  const Shape shape(i);
  const uint32_t* registers = w.function->pool.data() + i.list;
  for (uint32_t k = 0; k < shape.count; ++k) {
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) == 0) continue;
      const E value = static_cast<E>(w.row<Element<R>>(registers[k])[l]);
      std::memcpy(w.frame + i.imm + static_cast<uint32_t>(l) * i.b + k * sizeof(E), &value, sizeof(E));
    }
  }
}

enum class From : uint8_t { memory, parameters, frame };
template <class E, class R>
Handler load_handler(From from) {
  return from == From::memory       ? run_load<E, R>
         : from == From::parameters ? run_load_parameter<E, R>
                                    : run_load_frame<E, R>;
}
template <class E>
Handler load_to(unsigned register_bytes, From from) {
  using R2 = std::conditional_t<std::is_signed_v<E>, int16_t, uint16_t>;
  using R4 = std::conditional_t<std::is_signed_v<E>, int32_t, uint32_t>;
  using R8 = std::conditional_t<std::is_signed_v<E>, int64_t, uint64_t>;
  if constexpr (sizeof(E) <= 2) {
    if (register_bytes <= 2) return load_handler<E, R2>(from);
  }
  if constexpr (sizeof(E) <= 4) {
    if (register_bytes <= 4) return load_handler<E, R4>(from);
  }
  return register_bytes == 8 ? load_handler<E, R8>(from) : nullptr;
}
Handler load_of(Type type, unsigned register_bytes, From from) {
  switch (bytes_of(type)) {
    case 1:
      return type == Type::s8 ? load_to<int8_t>(register_bytes, from)
                              : load_to<uint8_t>(register_bytes, from);
    case 2:
      return type == Type::s16 ? load_to<int16_t>(register_bytes, from)
                               : load_to<uint16_t>(register_bytes, from);
    case 4:
      return type == Type::s32 ? load_to<int32_t>(register_bytes, from)
                               : load_to<uint32_t>(register_bytes, from);
    case 8:
      return load_to<uint64_t>(register_bytes, from);
    default:
      return nullptr;
  }
}
template <class E>
Handler store_handler(unsigned register_bytes, From from) {
  if (register_bytes == 8)
    return from == From::memory  ? Handler{run_store<E, uint64_t>}
           : from == From::frame ? Handler{run_store_frame<E, uint64_t>}
                                 : nullptr;
  return from == From::memory  ? Handler{run_store<E, uint32_t>}
         : from == From::frame ? Handler{run_store_frame<E, uint32_t>}
                               : nullptr;
}
Handler store_of(Type type, unsigned register_bytes, From from) {
  switch (bytes_of(type)) {
    case 1:
      return store_handler<uint8_t>(register_bytes, from);
    case 2:
      return store_handler<uint16_t>(register_bytes, from);
    case 4:
      return store_handler<uint32_t>(register_bytes, from);
    case 8:
      return store_handler<uint64_t>(8, from);
    default:
      return nullptr;
  }
}

Class class_of(Space space, bool load) {
  switch (space) {
    case Space::shared:
      return load ? Class::load_shared : Class::store_shared;
    case Space::local:
      return Class::local;
    case Space::param:
    case Space::constant:
      return Class::parameter;
    default:
      return load ? Class::load_global : Class::store_global;
  }
}

void load_store(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool load = s.opcode != "st";
  m.take_any({"weak",
              "volatile",
              "relaxed",
              "acquire",
              "release",
              "mmio",
              "cta",
              "cluster",
              "gpu",
              "sys",
              "ca",
              "cg",
              "cs",
              "lu",
              "cv",
              "wb",
              "wt",
              "nc",
              "L1::evict_normal",
              "L1::evict_unchanged",
              "L1::evict_first",
              "L1::evict_last",
              "L1::no_allocate",
              "L2::64B",
              "L2::128B",
              "L2::256B",
              "unified"});
  const Space space = take_space(m);
  const uint32_t count = m.take("v2") ? 2 : m.take("v4") ? 4 : 1;
  const Type type = m.expect_type();
  d.expect_count(s, 2, 2);
  const size_t place = load ? 1 : 0;
  const Operand& values = s.operands[load ? 0 : 1];
  if (type == Type::b128 || count * bytes_of(type) > 16) m.unknown();
  if ((values.kind == Operand::Kind::vector) != (count > 1) || (count > 1 && values.parts.size() != count))
    d.fail(s.opcode + ": the vector has not " + std::to_string(count) + " elements");

  Type register_type = type;
  {
    // Registers may be wider than what is moved.
    const Type declared = d.register_type(count > 1 ? values.parts[0] : values);
    if (declared != Type::none && bytes_of(declared) > bytes_of(type))
      register_type = bytes_of(declared) == 8 ? Type::b64 : bytes_of(declared) == 4 ? Type::b32 : Type::b16;
  }
  std::vector<uint32_t> registers;
  d.list(values, register_type, load, registers);
  inst.list = d.pool(registers);
  uint32_t row = 0;
  const bool wide = d.address(s, place, space, inst, row);
  inst.a = row;
  inst.aux = count | bytes_of(type) << 8 | static_cast<uint32_t>(space) << 16 | (wide ? 1U << 24 : 0) |
             (bytes_of(register_type) == 8 ? 1U << 25 : 0);
  inst.group = class_of(space, load);
  From from = From::memory;
  if (space == Space::param) {
    const Operand& address = s.operands[place];
    from = From::parameters;
    if (!address.symbol.empty() && d.place(address.symbol).in_frame) {
      from = From::frame;
      const Decoder::Place where = d.place(address.symbol);
      inst.b = (where.bytes + 15) / 16 * 16;
      inst.imm = static_cast<int64_t>(where.address) + address.value;
      if (address.value < 0 ||
          static_cast<uint64_t>(address.value) + uint64_t{count} * bytes_of(type) > where.bytes)
        d.fail("beyond parameter \"" + address.symbol + "\"");
    } else if (!d.function.is_entry) {
      d.fail("parameters of a function by a register's address are not supported");
    }
  }
  const unsigned register_bytes = std::max(bytes_of(register_type), 1U);
  inst.run = load ? load_of(type, register_bytes, from) : store_of(type, register_bytes, from);
  if (inst.run == nullptr) m.unknown();
}

void run_nothing(Warp&, const Inst&, uint32_t) {}

void prefetch(Decoder&, const Statement& s, Modifiers& m, Inst& inst) {
  for (const std::string& modifier : s.modifiers) m.take(modifier);
  inst.run = run_nothing;
}

}  // namespace

Space take_space(Modifiers& m) {
  constexpr Space kSpaces[] = {Space::global,   Space::shared, Space::shared, Space::local,
                               Space::constant, Space::param,  Space::param,  Space::param};
  const int index = m.take_one(
      {"global", "shared", "shared::cta", "local", "const", "param", "param::entry", "param::func"});
  return index < 0 ? Space::generic : kSpaces[index];
}

const DecodeTable& memory_instructions() {
  static const DecodeTable table = {
      {"ld", load_store},      {"ldu", load_store},         {"st", load_store},   {"prefetch", prefetch},
      {"prefetchu", prefetch}, {"applypriority", prefetch}, {"discard", prefetch}};
  return table;
}

}  // namespace tr0n::emulator
