#pragma once
#include <string_view>

#include "emulator/ptx/source.h"

namespace tr0n::emulator {

/// Special registers (PTX ISA 10): read-only, of a warp or a lane.
enum class Special : uint8_t {
  none,
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  clock,
  clock_hi,
  clock64,
  globaltimer,
  globaltimer_lo,
  dynamic_smem_size,
  total_smem_size
};

Special special_named(std::string_view name);
Type type_of(Special special);

}  // namespace tr0n::emulator
