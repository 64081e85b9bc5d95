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
  uint64_t sorted[kLanes];
  unsigned count = 0;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) != 0) sorted[count++] = addresses[l];
  }
  std::sort(sorted, sorted + count);
  uint64_t bytes_moved = 0, sectors = 0, last_sector = ~uint64_t{0}, end = 0;
  for (unsigned k = 0; k < count; ++k) {
    const uint64_t from = std::max(sorted[k], end), to = sorted[k] + bytes;
    if (to > from) bytes_moved += to - from;
    end = std::max(end, to);
    if (sorted[k] >> 5 == last_sector) continue;  // aligned accesses of at most 16 bytes lie in one sector
    last_sector = sorted[k] >> 5;
    ++sectors;
    distinct += touch(w, sorted[k], sorted[k] + bytes - 1, store);
  }
  c.sectors += sectors;
  c.minimum_sectors += (bytes_moved + 31) / 32;
}

void count_shared(Warp& w, uint32_t mask, const uint64_t* offsets, unsigned bytes) {
  MemoryCounters& c = *w.counters;
  c.shared_bytes += static_cast<uint64_t>(std::popcount(mask)) * bytes;
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
    c.wavefronts += passes;
    c.conflicts += passes - 1U;
  }
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
