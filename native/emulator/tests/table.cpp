#include "emulator/tests/table.h"

#include <limits>

namespace tr0n::emulator::test {

std::vector<uint64_t> run_instruction(const std::string& instruction, const Slot& result,
                                      const std::vector<Slot>& operands,
                                      const std::vector<std::vector<uint64_t>>& columns,
                                      const std::string& more) {
  // Memory holds 64-bit images; registers have the instruction's widths.
  const auto register_of = [](const Slot& s, const std::string& name) {
    return ".reg ." + (s.bytes == 1 ? std::string("b16") : s.type) + " " + name + ";\n";
  };
  std::string text = header(90) + ".visible .entry k(.param .u32 n, .param .u64 out";
  for (size_t k = 0; k < operands.size(); ++k) text += ", .param .u64 in" + std::to_string(k);
  text += ")\n{\n.reg .b32 %i, %n, %r<4>;\n.reg .b64 %o, %p, %q;\n.reg .pred %past;\n" +
          register_of(result, "%d");
  for (size_t k = 0; k < operands.size(); ++k) text += register_of(operands[k], "%a" + std::to_string(k));
  text +=
      "mov.u32 %i, %tid.x;\nmov.u32 %r0, %ctaid.x;\nmov.u32 %r1, %ntid.x;\nmad.lo.u32 %i, %r0, %r1, "
      "%i;\nld.param.u32 %n, [n];\n"
      "setp.ge.u32 %past, %i, %n;\n@%past bra done;\n";
  std::string list = "%d";
  for (size_t k = 0; k < operands.size(); ++k) {
    const std::string name = "%a" + std::to_string(k);
    text += "ld.param.u64 %p, [in" + std::to_string(k) + "];\nmad.wide.u32 %p, %i, 8, %p;\n";
    if (operands[k].type == "pred")
      text += "ld.global.b32 %r2, [%p];\nsetp.ne.b32 " + name + ", %r2, 0;\n";
    else
      text += "ld.global." + operands[k].type + " " + name + ", [%p];\n";
    list += ", " + name;
  }
  text +=
      instruction + " " + list + more +
      ";\nld.param.u64 %o, [out];\nmad.wide.u32 %o, %i, 8, %o;\nmov.b64 %q, 0;\nst.global.b64 [%o], %q;\n";
  if (result.type == "pred")
    text += "selp.b32 %r3, 1, 0, %d;\nst.global.b32 [%o], %r3;\n";
  else
    text += "st.global." + result.type + " [%o], %d;\n";
  text += "done:\nret;\n}\n";

  Device device;
  const CUmodule module = device.load(text);
  const auto n = static_cast<uint32_t>(columns[0].size());
  const CUdeviceptr out = device.allocate(n * 8);
  CUresult status = CUDA_SUCCESS;
  const Device::Shape shape{(n + 127) / 128, 128, 0};
  std::vector<CUdeviceptr> in;
  for (const auto& column : columns) in.push_back(device.upload(column));
  switch (in.size()) {
    case 1:
      status = device.run(module, "k", shape, n, out, in[0]);
      break;
    case 2:
      status = device.run(module, "k", shape, n, out, in[0], in[1]);
      break;
    case 3:
      status = device.run(module, "k", shape, n, out, in[0], in[1], in[2]);
      break;
    default:
      status = device.run(module, "k", shape, n, out, in[0], in[1], in[2], in[3]);
      break;
  }
  CHECK_SAYING(status == CUDA_SUCCESS, instruction + ": " + tr0n_emulator_report());
  return status == CUDA_SUCCESS ? device.download<uint64_t>(out, n) : std::vector<uint64_t>{};
}

template <>
std::vector<float> edges<float>() {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  return {0.0f,
          -0.0f,
          1.0f,
          -1.0f,
          0.5f,
          -0.5f,
          1.5f,
          2.5f,
          -2.5f,
          3.0f,
          0x1.fffffep-1f,
          0x1.000002p0f,
          1e10f,
          -3.7e-5f,
          0x1p-126f,
          0x1p-149f,
          -0x1p-149f,
          0x1.fffffcp-127f,
          0x1.fffffep127f,
          -0x1.fffffep127f,
          inf,
          -inf,
          nan,
          16777217.0f,
          0x1.fffffep23f,
          2147483648.0f,
          -2147483904.0f,
          4294967296.0f,
          0.1f,
          65504.0f,
          65520.0f,
          3.14159274f};
}
template <>
std::vector<double> edges<double>() {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  return {0.0,
          -0.0,
          1.0,
          -1.0,
          0.5,
          -0.5,
          1.5,
          2.5,
          -2.5,
          3.0,
          0x1.fffffffffffffp-1,
          0x1.0000000000001p0,
          1e10,
          -3.7e-5,
          0x1p-1022,
          0x1p-1074,
          -0x1p-1074,
          0x1.fffffffffffffp1023,
          -0x1.fffffffffffffp1023,
          inf,
          -inf,
          nan,
          0x1.000001p0,
          0x1.0000010000001p0,
          0x1.ffffffp127,
          0x1p-150,
          0x1.8p-149,
          2147483647.5,
          -2147483648.5,
          9223372036854775808.0,
          18446744073709551616.0,
          0.1};
}

}  // namespace tr0n::emulator::test
