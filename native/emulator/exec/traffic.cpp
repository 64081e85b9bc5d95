#include <algorithm>

#include "emulator/exec/access.h"
#include "emulator/exec/block.h"
#include "emulator/memory/device_memory.h"

namespace tr0n::emulator {
namespace {

/// Marks the sectors of [first, last] as moved by this launch; returns how many were not before.
uint64_t touch(const Warp& w, uint64_t first_byte, uint64_t last_byte, bool store) {
  const DeviceMemory& memory = device_memory();
  if (!memory.in_range(first_byte, last_byte - first_byte + 1)) return 0;  // the host's memory
  const uint32_t launch = w.launch->number;
  uint64_t fresh = 0;
  for (uint64_t at = first_byte & ~uint64_t{31}; at <= last_byte; at += 32) {
    std::atomic<uint32_t>& stamp = store ? memory.write_stamp(at) : memory.read_stamp(at);
    if (stamp.load(std::memory_order_relaxed) != launch &&
        stamp.exchange(launch, std::memory_order_relaxed) != launch)
      ++fresh;
  }
  return fresh;
}

/// A number for where lanes lie relative to the first one and to `unit`; never 0.
uint64_t pattern_of(uint32_t mask, const uint64_t* addresses, unsigned bytes, uint64_t unit) {
  const uint64_t first = addresses[std::countr_zero(mask)];
  uint64_t hash =
      (first % unit + 1) * 0x9E3779B97F4A7C15ULL + mask + (unit * 32 + bytes) * 0xA24BAED4963EE407ULL;
  for (uint64_t l = 0; l < kLanes; ++l) {
    const uint64_t relative = (mask >> l & 1) != 0 ? addresses[l] - first : 0;
    const uint64_t mixed = (relative + l * 0xD6E8FEB86659FD93ULL) * 0xFF51AFD7ED558CCDULL;
    hash += (mixed ^ mixed >> 29) * (2 * l + 0xC4CEB9FE1A85EC53ULL);
  }
  return hash | 1;
}

}  // namespace

void count_global(Warp& w, uint32_t mask, const uint64_t* addresses, unsigned bytes, bool store) {
  MemoryCounters& c = *w.counters;
  const auto lanes = static_cast<unsigned>(std::popcount(mask));
  (store ? c.store_bytes : c.load_bytes) += uint64_t{lanes} * bytes;
  uint64_t& distinct = store ? c.distinct_store_sectors : c.distinct_load_sectors;
  // All lanes in a row, or all at one place: no need to sort.
  if (mask == ~0U) {
    uint64_t row = 0, same = 0;
    for (uint64_t l = 0; l < kLanes; ++l) {
      row |= addresses[l] ^ (addresses[0] + l * bytes);
      same |= addresses[l] ^ addresses[0];
    }
    if (row == 0 || same == 0) {
      const uint64_t length = row == 0 ? uint64_t{kLanes} * bytes : bytes, last = addresses[0] + length - 1;
      c.sectors += (last >> 5) - (addresses[0] >> 5) + 1;
      c.minimum_sectors += (length + 31) / 32;
      distinct += touch(w, addresses[0], last, store);
      return;
    }
  }
  Profile& profile = w.profile[w.pc - 1];
  const uint64_t pattern = pattern_of(mask, addresses, bytes, 32);
  if (profile.pattern != pattern) {
    uint64_t sorted[kLanes];
    unsigned count = 0;
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) != 0) sorted[count++] = addresses[l];
    }
    std::sort(sorted, sorted + count);
    uint64_t moved = 0, last_sector = ~uint64_t{0}, end = 0;
    uint32_t sectors = 0;
    for (unsigned k = 0; k < count; ++k) {
      const uint64_t from = std::max(sorted[k], end), to = sorted[k] + bytes;
      if (to > from) moved += to - from;
      end = std::max(end, to);
      sectors += sorted[k] >> 5 != last_sector;  // aligned accesses of at most 16 bytes lie in one sector
      last_sector = sorted[k] >> 5;
    }
    profile.pattern = pattern;
    profile.first = sectors;
    profile.second = static_cast<uint32_t>((moved + 31) / 32);
  }
  c.sectors += profile.first;
  c.minimum_sectors += profile.second;
  uint64_t last_touched = ~uint64_t{0};
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0 || addresses[l] >> 5 == last_touched) continue;
    last_touched = addresses[l] >> 5;
    distinct += touch(w, addresses[l], addresses[l] + bytes - 1, store);
  }
}

namespace {

void wavefronts_of(uint32_t mask, const uint64_t* offsets, unsigned bytes, uint32_t& all, uint32_t& extra) {
  // 128 bytes a pass: wide accesses go by halves or quarters of the warp. Within a group a bank gives one
  // word a pass; lanes that want the same word share it.
  const int group = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
  const unsigned words = bytes <= 4 ? 1 : bytes / 4;
  for (int first = 0; first < kLanes; first += group) {
    const uint32_t here = group == 32 ? mask : mask >> first & ((1U << group) - 1);
    if (here == 0) continue;
    uint64_t seen[32][32];
    uint8_t count[32] = {};
    uint8_t passes = 1;
    for (int l = first; l < first + group; ++l) {
      if ((mask >> l & 1) == 0) continue;
      for (unsigned k = 0; k < words; ++k) {
        const uint64_t word = (offsets[l] >> 2) + k;
        const unsigned bank = word & 31;
        uint8_t& used = count[bank];
        bool known = false;
        for (uint8_t s = 0; s < used; ++s) known |= seen[bank][s] == word;
        if (!known) {
          seen[bank][used++] = word;
          passes = std::max(passes, used);
        }
      }
    }
    all += passes;
    extra += passes - 1U;
  }
}

}  // namespace

void count_shared(Warp& w, uint32_t mask, const uint64_t* offsets, unsigned bytes) {
  MemoryCounters& c = *w.counters;
  c.shared_bytes += static_cast<uint64_t>(std::popcount(mask)) * bytes;
  Profile& profile = w.profile[w.pc - 1];
  const uint64_t pattern = pattern_of(mask, offsets, bytes, 128);
  if (profile.pattern != pattern) {
    uint32_t passes = 0, extra = 0;
    wavefronts_of(mask, offsets, bytes, passes, extra);
    profile.pattern = pattern;
    profile.first = passes;
    profile.second = extra;
  }
  c.wavefronts += profile.first;
  c.conflicts += profile.second;
}

void MemoryCounters::add(const MemoryCounters& other) {
  load_bytes += other.load_bytes;
  store_bytes += other.store_bytes;
  sectors += other.sectors;
  minimum_sectors += other.minimum_sectors;
  distinct_load_sectors += other.distinct_load_sectors;
  distinct_store_sectors += other.distinct_store_sectors;
  shared_bytes += other.shared_bytes;
  wavefronts += other.wavefronts;
  conflicts += other.conflicts;
  barriers += other.barriers;
  atomics += other.atomics;
}

}  // namespace tr0n::emulator
