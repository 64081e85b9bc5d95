#include "emulator/ptx/special.h"

namespace tr0n::emulator {
namespace {

constexpr std::string_view kNames[] = {"",
                                       "%tid.x",
                                       "%tid.y",
                                       "%tid.z",
                                       "%ntid.x",
                                       "%ntid.y",
                                       "%ntid.z",
                                       "%ctaid.x",
                                       "%ctaid.y",
                                       "%ctaid.z",
                                       "%nctaid.x",
                                       "%nctaid.y",
                                       "%nctaid.z",
                                       "%laneid",
                                       "%warpid",
                                       "%nwarpid",
                                       "%smid",
                                       "%nsmid",
                                       "%gridid",
                                       "%lanemask_eq",
                                       "%lanemask_le",
                                       "%lanemask_lt",
                                       "%lanemask_ge",
                                       "%lanemask_gt",
                                       "%clock",
                                       "%clock_hi",
                                       "%clock64",
                                       "%globaltimer",
                                       "%globaltimer_lo",
                                       "%dynamic_smem_size",
                                       "%total_smem_size"};

}  // namespace

Special special_named(std::string_view name) {
  for (size_t i = 1; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<Special>(i);
  }
  return Special::none;
}

Type type_of(Special special) {
  const bool wide =
      special == Special::gridid || special == Special::clock64 || special == Special::globaltimer;
  return wide ? Type::u64 : Type::u32;
}

}  // namespace tr0n::emulator
