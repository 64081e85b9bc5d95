#include "emulator/exec/access.h"

#include <cstring>

#include "emulator/config.h"
#include "emulator/exec/block.h"
#include "emulator/memory/device_memory.h"
#include "emulator/memory/host_memory.h"

namespace tr0n::emulator {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

const char* verb(Access access) {
  return access == Access::read ? "reads " : access == Access::write ? "writes " : "updates ";
}

std::string phrase(Access access, unsigned bytes, const char* space, uint64_t address) {
  return std::string(verb(access)) + std::to_string(bytes) + " bytes of " + space + " memory at " +
         hex(address);
}

[[noreturn]] void fault_misaligned(const Warp& w, const Inst& i, int lane, Access access, unsigned bytes,
                                   const char* space, uint64_t address) {
  w.fault(i, lane, Kind::misaligned,
          phrase(access, bytes, space, address) + ", which is not a multiple of " + std::to_string(bytes));
}

/// The exact check of one lane's bytes; returns where they are.
std::byte* global_lane(const Warp& w, const Inst& i, int lane, uint64_t address, unsigned bytes,
                       Access access) {
  const DeviceMemory& memory = device_memory();
  if (address % bytes != 0) fault_misaligned(w, i, lane, access, bytes, "global", address);
  if (!memory.in_range(address, bytes)) {
    if (std::byte* host = host_memory().find(address, bytes)) return host;
    w.fault(i, lane, Kind::out_of_bounds,
            phrase(access, bytes, "global", address) + ", which no allocation contains");
  }
  const uint8_t* shadow = memory.shadow(address);
  for (unsigned byte = 0; byte < bytes; ++byte) {
    if (shadow[byte] == kNoAccess) {
      const bool freed = memory.find_freed(address + byte) != nullptr;
      w.fault(i, lane, freed ? Kind::use_after_free : Kind::out_of_bounds,
              phrase(access, bytes, "global", address) + ": " + memory.describe(address + byte));
    }
    if (access != Access::write && shadow[byte] != kWritten && config().check_initialised) {
      w.fault(i, lane, Kind::uninitialised,
              phrase(access, bytes, "global", address) +
                  ", which nobody wrote: " + memory.describe(address + byte));
    }
  }
  return memory.data(address);
}

bool all_written(const uint8_t* shadow, unsigned bytes) {
  switch (bytes) {
    case 1:
      return *shadow == kWritten;
    case 2: {
      uint16_t word;
      std::memcpy(&word, shadow, 2);
      return word == 0x0303;
    }
    case 4: {
      uint32_t word;
      std::memcpy(&word, shadow, 4);
      return word == 0x03030303U;
    }
    case 8: {
      uint64_t word;
      std::memcpy(&word, shadow, 8);
      return word == 0x0303030303030303ULL;
    }
    default: {
      uint64_t words[2];
      std::memcpy(words, shadow, 16);
      return (words[0] & words[1]) == 0x0303030303030303ULL && (words[0] | words[1]) == 0x0303030303030303ULL;
    }
  }
}

bool all_accessible(const uint8_t* shadow, unsigned bytes) {
  uint8_t least = 255;
  for (unsigned k = 0; k < bytes; ++k) least = shadow[k] < least ? shadow[k] : least;
  return least != kNoAccess;
}

/// One run of bytes of all lanes: the usual case.
bool contiguous(uint32_t mask, const uint64_t* addresses, unsigned bytes) {
  if (mask != ~0U || addresses[0] % bytes != 0) return false;
  uint64_t differs = 0;
  for (uint64_t l = 0; l < kLanes; ++l) differs |= addresses[l] ^ (addresses[0] + l * bytes);
  return differs == 0;
}

}  // namespace

void global_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* addresses, unsigned bytes,
                     Access access, Pointers& out) {
  const DeviceMemory& memory = device_memory();
  const bool uninitialised_allowed = access == Access::write || !config().check_initialised;
  if (contiguous(mask, addresses, bytes) && memory.in_range(addresses[0], kLanes * bytes)) {
    uint8_t* shadow = memory.shadow(addresses[0]);
    uint8_t conjunction = 0xFF, least = 0xFF;
    for (unsigned k = 0; k < kLanes * bytes; ++k) {
      conjunction &= shadow[k];
      least = shadow[k] < least ? shadow[k] : least;
    }
    if (conjunction == kWritten || (least != kNoAccess && uninitialised_allowed)) {
      if (access != Access::read && conjunction != kWritten) std::memset(shadow, kWritten, kLanes * bytes);
      std::byte* data = memory.data(addresses[0]);
      for (unsigned l = 0; l < kLanes; ++l) out.at[l] = data + l * bytes;
      return;
    }
  }
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const uint64_t address = addresses[l];
    if (address % bytes == 0 && memory.in_range(address, bytes)) {
      uint8_t* shadow = memory.shadow(address);
      if (all_written(shadow, bytes)) {
        out.at[l] = memory.data(address);
        continue;
      }
      if (uninitialised_allowed && all_accessible(shadow, bytes)) {
        if (access != Access::read) std::memset(shadow, kWritten, bytes);
        out.at[l] = memory.data(address);
        continue;
      }
    }
    out.at[l] = global_lane(w, i, l, address, bytes, access);
  }
}

void shared_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                     Access access, Pointers& out) {
  Block& block = *w.block;
  const uint64_t size = block.shared.size();
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const uint64_t offset = offsets[l];
    if (offset % bytes != 0) fault_misaligned(w, i, l, access, bytes, "shared", offset);
    if (offset > size || bytes > size - offset)
      w.fault(i, l, Kind::out_of_bounds,
              phrase(access, bytes, "shared", offset) + ", beyond the block's " + std::to_string(size));
    uint8_t* shadow = block.shared_shadow.data() + offset;
    if (!all_written(shadow, bytes)) {
      for (unsigned byte = 0; byte < bytes; ++byte) {
        if (shadow[byte] == kNoAccess)
          w.fault(i, l, Kind::out_of_bounds,
                  phrase(access, bytes, "shared", offset) + ", outside every variable of the block");
        if (shadow[byte] == kInFlight || (access != Access::write && shadow[byte] == kUnwritten)) {
          // What another thread has under way without a barrier is a race before it is anything else.
          if (access == Access::read)
            check_shared_read(w, i, 1U << l, offsets, bytes);
          else
            check_shared_write(w, i, 1U << l, offsets, bytes, access == Access::atomic);
        }
        if (shadow[byte] == kInFlight)
          w.fault(i, l, Kind::unfinished_copy,
                  phrase(access, bytes, "shared", offset) +
                      ", where a cp.async is still under way: it was not waited for");
        if (access != Access::write && shadow[byte] == kUnwritten && config().check_initialised)
          w.fault(i, l, Kind::uninitialised,
                  phrase(access, bytes, "shared", offset) + ", which nobody wrote");
      }
      if (access != Access::read) std::memset(shadow, kWritten, bytes);
    }
    out.at[l] = block.shared.data() + offset;
  }
}

void local_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                    Access access, Pointers& out) {
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const uint64_t offset = offsets[l];
    if (offset % bytes != 0) fault_misaligned(w, i, l, access, bytes, "local", offset);
    if (offset > w.local_stride || bytes > w.local_stride - offset)
      w.fault(
          i, l, Kind::out_of_bounds,
          phrase(access, bytes, "local", offset) + ", beyond the thread's " + std::to_string(w.local_stride));
    const size_t at = static_cast<size_t>(l) * w.local_stride + offset;
    uint8_t* shadow = w.local_shadow.data() + at;
    for (unsigned byte = 0; byte < bytes; ++byte) {
      if (access != Access::write && shadow[byte] != kWritten && config().check_initialised)
        w.fault(i, l, Kind::uninitialised,
                phrase(access, bytes, "local", offset) + ", which its thread did not write");
    }
    if (access != Access::read) std::memset(shadow, kWritten, bytes);
    out.at[l] = w.local.data() + at;
  }
}

void generic_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* addresses, unsigned bytes,
                      Access access, Pointers& out) {
  uint32_t shared = 0, local = 0, param = 0;
  uint64_t offsets[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const uint64_t window = window_of(addresses[l]);
    offsets[l] = addresses[l] & ((uint64_t{1} << 52) - 1);
    if (window == window_of(kSharedWindow)) shared |= 1U << l;
    if (window == window_of(kLocalWindow)) local |= 1U << l;
    if (window == window_of(kParamWindow)) param |= 1U << l;
  }
  shared &= mask;
  local &= mask;
  param &= mask;
  const uint32_t global = mask & ~(shared | local | param);
  if (global != 0) {
    pointers(Space::global, w, i, global, addresses, bytes, access, out);
  }
  if (shared != 0) {
    pointers(Space::shared, w, i, shared, offsets, bytes, access, out);
  }
  if (local != 0) local_pointers(w, i, local, offsets, bytes, access, out);
  for (int l = 0; l < kLanes; ++l) {
    if ((param >> l & 1) == 0) continue;
    auto& parameters = w.launch->parameters;
    if (access != Access::read || offsets[l] > parameters.size() || bytes > parameters.size() - offsets[l])
      w.fault(i, l, Kind::out_of_bounds, phrase(access, bytes, "parameter", offsets[l]));
    out.at[l] = parameters.data() + offsets[l];
  }
}

void pointers(Space space, Warp& w, const Inst& i, uint32_t mask, const uint64_t* addresses, unsigned bytes,
              Access access, Pointers& out) {
  switch (space) {
    case Space::global:
    case Space::constant:
      global_pointers(w, i, mask, addresses, bytes, access, out);
      if (space == Space::global) count_global(w, mask, addresses, bytes, access != Access::read);
      return;
    case Space::shared:
      // Bounds first: the cells of the race check exist for valid places only.
      shared_pointers(w, i, mask, addresses, bytes, access, out);
      if (access == Access::read)
        check_shared_read(w, i, mask, addresses, bytes);
      else
        check_shared_write(w, i, mask, addresses, bytes, access == Access::atomic);
      count_shared(w, mask, addresses, bytes);
      return;
    case Space::local:
      local_pointers(w, i, mask, addresses, bytes, access, out);
      return;
    default:
      generic_pointers(w, i, mask, addresses, bytes, access, out);
      return;
  }
}

}  // namespace tr0n::emulator
