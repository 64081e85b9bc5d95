#include <cstring>

#include "emulator/exec/access.h"
#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/half.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

void expect_whole_warp(const Warp& w, const Inst& i, uint32_t mask) {
  if (mask == ~0U) return;
  w.fault(i, std::countr_zero(mask), Kind::divergent_barrier, "a matrix instruction needs all 32 lanes");
}

struct Tf32 {
  static constexpr int packed = 1;
  /// The low 13 bits do not take part.
  static float load(uint32_t bits, int) { return bits_to_float(bits & ~0x1FFFU); }
};
struct Half {
  static constexpr int packed = 2;
  static float load(uint32_t bits, int k) { return half_to_float(static_cast<uint16_t>(bits >> 16 * k)); }
};
struct Bfloat {
  static constexpr int packed = 2;
  static float load(uint32_t bits, int k) { return bfloat_to_float(static_cast<uint16_t>(bits >> 16 * k)); }
};

/// d [16, 8] = a [16, K] · b [K, 8] + c: exact products, summed in double precision, rounded once. Lane 4g +
/// t holds of a the rows g and g + 8, of b the column g, of c and d the rows g and g + 8, columns 2t and 2t
/// + 1. pool: d 4, a, b, c 4.
template <class Format, int K>
void run_mma(Warp& w, const Inst& i, uint32_t mask) {
  expect_whole_warp(w, i, mask);
  constexpr int kRegistersA = 16 * K / 32 / Format::packed, kRegistersB = 8 * K / 32 / Format::packed,
                kSpan = 4 * Format::packed;
  const uint32_t* d = w.function->pool.data() + i.list;
  const uint32_t *a = d + 4, *b = a + kRegistersA, *c = b + kRegistersB;
  double left[16][K], right[K][8], sum[16][8];
  for (int r = 0; r < kRegistersA; ++r) {
    const auto* row = w.row<uint32_t>(a[r]);
    // Registers alternate between the row groups; every pair goes on along k.
    for (int l = 0; l < kLanes; ++l) {
      for (int e = 0; e < Format::packed; ++e)
        left[l / 4 + 8 * (r % 2)][kSpan * (r / 2) + (l % 4) * Format::packed + e] =
            static_cast<double>(Format::load(row[l], e));
    }
  }
  for (int r = 0; r < kRegistersB; ++r) {
    const auto* row = w.row<uint32_t>(b[r]);
    for (int l = 0; l < kLanes; ++l) {
      for (int e = 0; e < Format::packed; ++e)
        right[kSpan * r + (l % 4) * Format::packed + e][l / 4] = static_cast<double>(Format::load(row[l], e));
    }
  }
  for (int r = 0; r < 4; ++r) {
    const auto* row = w.row<float>(c[r]);
    for (int l = 0; l < kLanes; ++l)
      sum[l / 4 + 8 * (r / 2)][(l % 4) * 2 + r % 2] = static_cast<double>(row[l]);
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < K; ++k) {
      for (int column = 0; column < 8; ++column) sum[row][column] += left[row][k] * right[k][column];
    }
  }
  for (int r = 0; r < 4; ++r) {
    auto* row = w.row<float>(d[r]);
    for (int l = 0; l < kLanes; ++l)
      row[l] = canonical(static_cast<float>(sum[l / 4 + 8 * (r / 2)][(l % 4) * 2 + r % 2]));
  }
}

void mma(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (!m.take("sync") || !m.take("aligned")) m.unknown();
  const int shape = m.take_one({"m16n8k4", "m16n8k8", "m16n8k16"});
  if (shape < 0 || !m.take("row") || !m.take("col")) m.unknown();
  const Type type_d = m.expect_type(), type_a = m.expect_type(), type_b = m.expect_type(),
             type_c = m.expect_type();
  if (type_d != Type::f32 || type_c != Type::f32 || type_a != type_b) m.unknown();
  const uint32_t k = 4U << shape;
  if (type_a == Type::tf32) inst.run = k == 4 ? run_mma<Tf32, 4> : k == 8 ? run_mma<Tf32, 8> : nullptr;
  if (type_a == Type::f16) inst.run = k == 8 ? run_mma<Half, 8> : k == 16 ? run_mma<Half, 16> : nullptr;
  if (type_a == Type::bf16) inst.run = k == 8 ? run_mma<Bfloat, 8> : k == 16 ? run_mma<Bfloat, 16> : nullptr;
  if (inst.run == nullptr) m.unknown();
  d.expect_count(s, 4, 4);
  const uint32_t packed = type_a == Type::tf32 ? 1 : 2;
  const size_t sizes[] = {4, k / 2 / packed, k / 4 / packed, 4};
  std::vector<uint32_t> registers;
  for (size_t o = 0; o < 4; ++o) {
    const size_t before = registers.size();
    d.list(s.operands[o], Type::b32, o == 0, registers);
    if (registers.size() - before != sizes[o])
      d.fail("mma: operand " + std::to_string(o + 1) + " has " + std::to_string(registers.size() - before) +
             " registers, not " + std::to_string(sizes[o]));
  }
  inst.list = d.pool(registers);
  inst.tensor_flops = 2 * 16 * 8 * k;
  inst.group = Class::tensor;
}

/// aux: matrices | transposed << 8 | wide address << 9 | generic << 10.
void run_ldmatrix(Warp& w, const Inst& i, uint32_t mask) {
  expect_whole_warp(w, i, mask);
  const int matrices = static_cast<int>(i.aux & 0xFF);
  const bool transposed = (i.aux >> 8 & 1) != 0;
  uint64_t addresses[kLanes];
  addresses_of(w, i, (i.aux >> 9 & 1) != 0, addresses);
  const uint32_t rows = matrices == 4 ? ~0U : (1U << 8 * matrices) - 1;
  Pointers from;
  pointers((i.aux >> 10 & 1) != 0 ? Space::generic : Space::shared, w, i, rows, addresses, 16, Access::read,
           from);
  const uint32_t* registers = w.function->pool.data() + i.list;
  alignas(kFrameAlign) uint32_t result[4][kLanes];
  for (int matrix = 0; matrix < matrices; ++matrix) {
    for (int l = 0; l < kLanes; ++l) {
      uint16_t pair[2];
      for (int e = 0; e < 2; ++e) {
        const int row = transposed ? 2 * (l % 4) + e : l / 4, column = transposed ? l / 4 : 2 * (l % 4) + e;
        std::memcpy(&pair[e], from.at[8 * matrix + row] + 2 * column, 2);
      }
      result[matrix][l] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
    }
  }
  for (int matrix = 0; matrix < matrices; ++matrix)
    std::memcpy(w.row<uint32_t>(registers[matrix]), result[matrix], sizeof result[matrix]);
}

void ldmatrix(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (!m.take("sync") || !m.take("aligned") || !m.take("m8n8")) m.unknown();
  const int count = m.take_one({"x1", "x2", "x4"});
  const bool transposed = m.take("trans");
  const Space space = take_space(m);
  if (count < 0 || m.expect_type() != Type::b16 || (space != Space::shared && space != Space::generic))
    m.unknown();
  d.expect_count(s, 2, 2);
  std::vector<uint32_t> registers;
  d.list(s.operands[0], Type::b32, true, registers);
  if (registers.size() != size_t{1} << count)
    d.fail("ldmatrix: the vector has not " + std::to_string(1 << count) + " elements");
  inst.run = run_ldmatrix;
  inst.list = d.pool(registers);
  uint32_t row = 0;
  const bool wide = d.address(s, 1, space, inst, row);
  inst.a = row;
  inst.aux = 1U << count | (transposed ? 1U << 8 : 0) | (wide ? 1U << 9 : 0) |
             (space == Space::generic ? 1U << 10 : 0);
  inst.group = Class::load_shared;
}

}  // namespace

const DecodeTable& tensor_instructions() {
  static const DecodeTable table = {{"mma", mma}, {"ldmatrix", ldmatrix}};
  return table;
}

}  // namespace tr0n::emulator
