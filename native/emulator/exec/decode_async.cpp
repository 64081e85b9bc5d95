#include <cstring>

#include "emulator/exec/access.h"
#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"
#include "emulator/memory/device_memory.h"
#include "emulator/memory/host_memory.h"

namespace tr0n::emulator {
namespace {

/// The bytes of one copy arrive.
void finish(Warp& w, const AsyncCopy& copy) {
  Block& block = *w.block;
  std::byte* to = block.shared.data() + copy.destination;
  if (copy.source_bytes > 0) {
    const DeviceMemory& memory = device_memory();
    const std::byte* from = memory.in_range(copy.source, copy.source_bytes)
                                ? memory.data(copy.source)
                                : host_memory().find(copy.source, copy.source_bytes);
    std::memcpy(to, from, copy.source_bytes);
  }
  std::memset(to + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
  std::memset(block.shared_shadow.data() + copy.destination, kWritten, copy.bytes);
  stamp_shared_write(w, static_cast<int>(copy.lane), copy.destination, copy.bytes, copy.line);
}

// aux: bytes | wide destination << 8 | wide source << 9. pool[list]: the source's constant offset, the row of
// the number of bytes to read (0: all), the predicate that ignores the source (0: none).
void run_copy(Warp& w, const Inst& i, uint32_t mask) {
  const unsigned bytes = i.aux & 0xFF;
  const uint32_t* more = w.function->pool.data() + i.list;
  Block& block = *w.block;
  uint64_t to[kLanes], from[kLanes];
  addresses_of(w, i, (i.aux >> 8 & 1) != 0, to);
  Inst source = i;
  source.a = i.b;
  source.imm = static_cast<int32_t>(more[0]);
  addresses_of(w, source, (i.aux >> 9 & 1) != 0, from);
  const uint32_t ignored = more[2] == 0 ? 0 : w.predicate(more[2]) ^ more[3];
  uint32_t reading = 0;
  unsigned amounts[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    amounts[l] = more[1] == 0 ? bytes : w.row<uint32_t>(more[1])[l];
    if ((ignored >> l & 1) != 0) amounts[l] = 0;
    if ((mask >> l & 1) != 0 && amounts[l] > bytes)
      w.fault(
          i, l, Kind::out_of_bounds,
          "cp.async reads " + std::to_string(amounts[l]) + " bytes of a copy of " + std::to_string(bytes));
    if ((mask >> l & 1) != 0 && amounts[l] > 0) reading |= 1U << l;
    if ((reading >> l & 1) != 0 && from[l] % bytes != 0)
      w.fault(i, l, Kind::misaligned,
              "cp.async of " + std::to_string(bytes) + " bytes from an address that is no multiple of it");
  }
  Pointers pointers_;
  // A partial copy touches only what it reads: byte by byte where it is not whole.
  uint32_t whole = 0;
  for (int l = 0; l < kLanes; ++l) {
    if ((reading >> l & 1) != 0 && amounts[l] == bytes) whole |= 1U << l;
  }
  if (whole != 0) pointers(Space::global, w, i, whole, from, bytes, Access::read, pointers_);
  for (int l = 0; l < kLanes; ++l) {
    if (((reading & ~whole) >> l & 1) == 0) continue;
    uint64_t at[kLanes] = {};
    for (unsigned byte = 0; byte < amounts[l]; ++byte) {
      at[l] = from[l] + byte;
      pointers(Space::global, w, i, 1U << l, at, 1, Access::read, pointers_);
    }
  }
  // In flight until it is waited for: bounds as for a write, then nobody may read it.
  shared_pointers(w, i, mask, to, bytes, Access::write, pointers_);
  count_shared(w, mask, to, bytes);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const auto destination = static_cast<uint32_t>(to[l]);
    stamp_shared_write(w, l, destination, bytes, i.line);
    std::memset(block.shared_shadow.data() + destination, kInFlight, bytes);
    w.copies.push_back(
        {from[l], destination, bytes, amounts[l], static_cast<uint32_t>(l), w.copy_groups[l], i.line});
  }
}

void run_commit(Warp& w, const Inst&, uint32_t mask) {
  for (int l = 0; l < kLanes; ++l) w.copy_groups[l] += mask >> l & 1;
}

/// imm: groups that may stay under way; negative: none, uncommitted ones included.
void run_wait(Warp& w, const Inst& i, uint32_t mask) {
  std::vector<AsyncCopy> left;
  for (const AsyncCopy& copy : w.copies) {
    const bool due = (mask >> copy.lane & 1) != 0 &&
                     (i.imm < 0 || copy.group + static_cast<uint64_t>(i.imm) < w.copy_groups[copy.lane]);
    if (due)
      finish(w, copy);
    else
      left.push_back(copy);
  }
  w.copies = std::move(left);
}

void cp(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (!m.take("async")) m.unknown();
  inst.group = Class::async_copy;
  if (m.take("commit_group")) {
    d.expect_count(s, 0, 0);
    inst.run = run_commit;
    return;
  }
  if (m.take("wait_all") || m.take("wait_group")) {
    const bool all = s.operands.empty();
    d.expect_count(s, all ? 0 : 1, all ? 0 : 1);
    if (all != (s.modifiers.back() == "wait_all")) m.unknown();
    if (!all && s.operands[0].kind != Operand::Kind::immediate) d.fail("wait_group takes an immediate");
    inst.imm = all ? -1 : s.operands[0].value;
    inst.run = run_wait;
    return;
  }
  const int cache = m.take_one({"ca", "cg"});
  if (cache < 0 || (!m.take("shared") && !m.take("shared::cta")) || !m.take("global")) m.unknown();
  m.take_any({"L2::64B", "L2::128B", "L2::256B"});
  d.expect_count(s, 3, 4);
  if (s.operands[2].kind != Operand::Kind::immediate) d.fail("cp.async: the size has to be an immediate");
  const int64_t bytes = s.operands[2].value;
  if (!(bytes == 16 || (cache == 0 && (bytes == 4 || bytes == 8))))
    d.fail("cp.async cannot copy " + std::to_string(bytes) + " bytes so");
  uint32_t to = 0, from = 0;
  Inst source;
  const bool wide_to = d.address(s, 0, Space::shared, inst, to),
             wide_from = d.address(s, 1, Space::global, source, from);
  inst.run = run_copy;
  inst.a = to;
  inst.b = from;
  uint32_t amount = 0, ignore = 0;
  bool negated = false;
  if (s.operands.size() == 4) {
    if (d.register_type(s.operands[3]) == Type::pred)
      ignore = d.predicate_source(s.operands[3], negated);
    else
      amount = d.source(s, 3, Type::u32);
  }
  inst.list = d.pool({static_cast<uint32_t>(source.imm), amount, ignore, negated ? ~0U : 0U});
  inst.aux = static_cast<uint32_t>(bytes) | (wide_to ? 1U << 8 : 0) | (wide_from ? 1U << 9 : 0);
}

}  // namespace

const DecodeTable& async_instructions() {
  static const DecodeTable table = {{"cp", cp}};
  return table;
}

}  // namespace tr0n::emulator
