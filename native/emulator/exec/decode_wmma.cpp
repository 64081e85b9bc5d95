#include <cstring>

#include "emulator/exec/access.h"
#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

// wmma in its TF32 form, m16n16k8. Which lane holds which element of a fragment is left open by PTX: here
// element e of lane l is number 32e + l of the matrix, row by row.
namespace tr0n::emulator {
namespace {

constexpr uint32_t kRows[] = {16, 8, 16}, kColumns[] = {8, 16, 16};  // of a, b, and c or d

void expect_whole_warp(const Warp& w, const Inst& i, uint32_t mask) {
  if (mask == ~0U) return;
  w.fault(i, std::countr_zero(mask), Kind::divergent_barrier, "a matrix instruction needs all 32 lanes");
}

// aux: matrix | column-major << 8 | wide address << 9 | store << 10 | space << 16. b: the row of the stride,
// 0 for none.
void run_move(Warp& w, const Inst& i, uint32_t mask) {
  expect_whole_warp(w, i, mask);
  const uint32_t matrix = i.aux & 0xFF, rows = kRows[matrix], columns = kColumns[matrix];
  const bool by_columns = (i.aux >> 8 & 1) != 0, store = (i.aux >> 10 & 1) != 0;
  uint64_t base[kLanes], at[kLanes];
  addresses_of(w, i, (i.aux >> 9 & 1) != 0, base);
  const uint32_t stride = i.b == 0 ? (by_columns ? rows : columns) : w.first<uint32_t>(i.b, mask);
  for (int l = 0; l < kLanes; ++l) {
    if (base[l] != base[0] || (i.b != 0 && w.row<uint32_t>(i.b)[l] != stride))
      w.fault(i, l, Kind::divergent_barrier, "the lanes of a matrix instruction name different places");
    if (base[l] % 32 != 0 || stride % 4 != 0)
      w.fault(i, l, Kind::misaligned,
              "a matrix has to start at a multiple of 32 bytes and its rows at multiples of 16");
  }
  const uint32_t* registers = w.function->pool.data() + i.list;
  for (uint32_t e = 0; e < rows * columns / kLanes; ++e) {
    for (uint32_t l = 0; l < kLanes; ++l) {
      const uint64_t number = e * kLanes + l, row = number / columns, column = number % columns;
      at[l] = base[l] + 4 * (by_columns ? column * stride + row : row * stride + column);
    }
    Pointers places;
    pointers(static_cast<Space>(i.aux >> 16 & 0xFF), w, i, mask, at, 4, store ? Access::write : Access::read,
             places);
    auto* value = w.row<uint32_t>(registers[e]);
    for (int l = 0; l < kLanes; ++l) {
      if (store)
        std::memcpy(places.at[l], &value[l], 4);
      else
        std::memcpy(&value[l], places.at[l], 4);
    }
  }
}

float element(const Warp& w, const uint32_t* registers, uint32_t number, bool tf32) {
  const uint32_t bits = w.row<uint32_t>(registers[number / kLanes])[number % kLanes];
  return bits_to_float(tf32 ? bits & ~0x1FFFU : bits);
}

/// pool: d 8, a 4, b 4, c 8. Exact products, summed in double precision, rounded once.
void run_product(Warp& w, const Inst& i, uint32_t mask) {
  expect_whole_warp(w, i, mask);
  const uint32_t *d = w.function->pool.data() + i.list, *a = d + 8, *b = a + 4, *c = b + 4;
  float result[256];
  for (uint32_t row = 0; row < 16; ++row) {
    for (uint32_t column = 0; column < 16; ++column) {
      double sum = static_cast<double>(element(w, c, 16 * row + column, false));
      for (uint32_t k = 0; k < 8; ++k)
        sum += static_cast<double>(element(w, a, 8 * row + k, true)) *
               static_cast<double>(element(w, b, 16 * k + column, true));
      result[16 * row + column] = canonical(static_cast<float>(sum));
    }
  }
  for (uint32_t e = 0; e < 8; ++e)
    std::memcpy(w.row<float>(d[e]), result + e * kLanes, sizeof(float) * kLanes);
}

void take_shape(Modifiers& m) {
  if (!m.take("sync") || !m.take("aligned")) m.unknown();
}

void wmma(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  std::vector<uint32_t> registers;
  if (m.take("mma")) {
    take_shape(m);
    // The layouts of a and b say how they were loaded; the fragments are the same.
    for (int k = 0; k < 2; ++k) {
      if (m.take_one({"row", "col"}) < 0) m.unknown();
    }
    if (!m.take("m16n16k8") || m.expect_type() != Type::f32 || m.expect_type() != Type::tf32 ||
        m.expect_type() != Type::tf32 || m.expect_type() != Type::f32)
      m.unknown();
    d.expect_count(s, 4, 4);
    const size_t sizes[] = {8, 4, 4, 8};
    for (size_t o = 0; o < 4; ++o) {
      const size_t before = registers.size();
      d.list(s.operands[o], Type::b32, o == 0, registers);
      if (registers.size() - before != sizes[o])
        d.fail("wmma.mma: operand " + std::to_string(o + 1) + " has not " + std::to_string(sizes[o]) +
               " registers");
    }
    inst.run = run_product;
    inst.list = d.pool(registers);
    inst.tensor_flops = 2 * 16 * 16 * 8;
    inst.group = Class::tensor;
    return;
  }
  const bool store = m.take("store");
  if (!store && !m.take("load")) m.unknown();
  const int matrix = store ? (m.take("d") ? 2 : -1) : m.take_one({"a", "b", "c"});
  take_shape(m);
  const int layout = m.take_one({"row", "col"});
  const Space space = take_space(m);
  if (matrix < 0 || layout < 0 || !m.take("m16n16k8") ||
      m.expect_type() != (matrix == 2 ? Type::f32 : Type::tf32))
    m.unknown();
  d.expect_count(s, 2, 3);
  d.list(s.operands[store ? 1 : 0], Type::b32, !store, registers);
  if (registers.size() != kRows[matrix] * kColumns[matrix] / kLanes)
    d.fail("wmma: the fragment has not " + std::to_string(kRows[matrix] * kColumns[matrix] / kLanes) +
           " registers");
  uint32_t row = 0;
  const bool wide = d.address(s, store ? 0 : 1, space, inst, row);
  inst.run = run_move;
  inst.a = row;
  inst.b = s.operands.size() > 2 ? d.source(s, 2, Type::u32) : 0;
  inst.list = d.pool(registers);
  inst.aux = static_cast<uint32_t>(matrix) | (layout == 1 ? 1U << 8 : 0) | (wide ? 1U << 9 : 0) |
             (store ? 1U << 10 : 0) | static_cast<uint32_t>(space) << 16;
  // Filed as what moves it; a race check by values is for plain stores only.
  inst.group = Class::tensor;
}

}  // namespace

const DecodeTable& wmma_instructions() {
  static const DecodeTable table = {{"wmma", wmma}};
  return table;
}

}  // namespace tr0n::emulator
