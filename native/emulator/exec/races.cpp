#include "emulator/config.h"
#include "emulator/exec/access.h"
#include "emulator/exec/block.h"

// Who touched a cell of shared memory last, and whether that is ordered before an access now. Each warp has a
// clock that barriers advance; w.clocks[v] is the time of warp v before which everything it did is ordered
// before w. A stamp is clock << 12 | flag << 11 | thread, the flag meaning an atomic (writes) or several
// threads (reads). Threads of one warp are ordered by bar.warp.sync only: their lock-step is nothing that a
// program may rely on.
namespace tr0n::emulator {
namespace {

constexpr uint32_t kFlag = 1U << 11;

uint32_t clock_of(uint32_t stamp) { return stamp >> 12; }
uint32_t thread_of(uint32_t stamp) { return stamp & 0x3FF; }

/// Whether the access that left the stamp is not ordered before one of `thread` in warp w.
bool unordered(const Warp& w, uint32_t stamp, uint32_t thread) {
  return clock_of(stamp) >= w.clock_floor && thread_of(stamp) != thread &&
         clock_of(stamp) >= w.clocks[thread_of(stamp) / kLanes];
}

std::string name_of_thread(const Warp& w, uint32_t thread) {
  const uint32_t* size = w.launch->block;
  return "(" + std::to_string(thread % size[0]) + "," + std::to_string(thread / size[0] % size[1]) + "," +
         std::to_string(thread / size[0] / size[1]) + ")";
}

[[noreturn]] void race(const Warp& w, int line, int lane, uint64_t offset, const char* now,
                       const std::string& before) {
  w.fault_at(line, lane, Kind::race,
             std::string(now) + " shared memory at " + std::to_string(offset) + " that " + before +
                 " without a barrier in between");
}

/// A second lane of one instruction may write the same value to the same place.
bool same_value(const Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, int lane,
                uint32_t other_thread) {
  if (other_thread / kLanes != w.index || (i.group != Class::store_shared && i.group != Class::store_global))
    return false;
  const int other = static_cast<int>(other_thread % kLanes);
  if ((mask >> other & 1) == 0 || offsets[other] != offsets[lane]) return false;
  const uint32_t* values = w.function->pool.data() + i.list;
  const uint32_t count = i.aux & 0xFF;
  const uint32_t bytes = i.aux >> 8 & 0xFF;
  const bool wide = (i.aux >> 25 & 1) != 0;
  const uint64_t ones = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
  for (uint32_t k = 0; k < count; ++k) {
    const uint64_t ours = wide ? w.row<uint64_t>(values[k])[lane] : w.row<uint32_t>(values[k])[lane];
    const uint64_t theirs = wide ? w.row<uint64_t>(values[k])[other] : w.row<uint32_t>(values[k])[other];
    if (((ours ^ theirs) & ones) != 0) return false;
  }
  return true;
}

void check_readers(const Warp& w, int line, int lane, uint64_t offset, uint32_t thread, uint32_t stamp,
                   uint32_t warps) {
  if (clock_of(stamp) < w.clock_floor) return;
  if ((stamp & kFlag) == 0) {
    if (unordered(w, stamp, thread))
      race(w, line, lane, offset, "writes", "thread " + name_of_thread(w, thread_of(stamp)) + " reads");
    return;
  }
  for (uint32_t v = 0; v < w.clocks.size(); ++v) {
    if ((warps >> v & 1) != 0 && clock_of(stamp) >= w.clocks[v])
      race(w, line, lane, offset, "writes", "threads of warp " + std::to_string(v) + " read");
  }
}

}  // namespace

void check_shared_read(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes) {
  if (!config().check_races) return;
  Block& block = *w.block;
  const uint32_t shift = block.granule_shift, now = w.clocks[w.index] << 12, warp_bit = 1U << w.index;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const uint32_t thread = w.index * kLanes + static_cast<uint32_t>(l);
    const uint64_t last = (offsets[l] + bytes - 1) >> shift;
    for (uint64_t cell = offsets[l] >> shift; cell <= last; ++cell) {
      const uint32_t written = block.write_stamps[cell];
      if (clock_of(written) >= w.clock_floor && unordered(w, written, thread))
        race(w, i.line, l, offsets[l], "reads",
             "thread " + name_of_thread(w, thread_of(written)) + " writes");
      uint32_t& read = block.read_stamps[cell];
      if (clock_of(read) < w.clock_floor) {
        read = now | thread;
        block.read_warps[cell] = warp_bit;
      } else if (read != (now | thread)) {
        const uint32_t latest = std::max(clock_of(read) << 12, now);
        read = (read & kFlag) == 0 && thread_of(read) == thread ? latest | thread : latest | kFlag;
        block.read_warps[cell] |= warp_bit;
      }
    }
  }
}

void check_shared_write(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                        bool atomic) {
  if (!config().check_races) return;
  Block& block = *w.block;
  const uint32_t shift = block.granule_shift, now = w.clocks[w.index] << 12 | (atomic ? kFlag : 0);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const uint32_t thread = w.index * kLanes + static_cast<uint32_t>(l);
    const uint64_t last = (offsets[l] + bytes - 1) >> shift;
    for (uint64_t cell = offsets[l] >> shift; cell <= last; ++cell) {
      const uint32_t written = block.write_stamps[cell];
      if (clock_of(written) >= w.clock_floor && !(atomic && (written & kFlag) != 0) &&
          unordered(w, written, thread) &&
          (atomic || !same_value(w, i, mask, offsets, l, thread_of(written)))) {
        race(w, i.line, l, offsets[l], atomic ? "updates" : "writes",
             "thread " + name_of_thread(w, thread_of(written)) + " writes");
      }
      check_readers(w, i.line, l, offsets[l], thread, block.read_stamps[cell], block.read_warps[cell]);
      block.write_stamps[cell] = now | thread;
    }
  }
}

void stamp_shared_write(Warp& w, const Inst& i, int lane, uint32_t offset, unsigned bytes, int line) {
  (void)i;
  if (!config().check_races) return;
  Block& block = *w.block;
  const uint32_t thread = w.index * kLanes + static_cast<uint32_t>(lane), shift = block.granule_shift;
  for (uint32_t cell = offset >> shift; cell <= (offset + bytes - 1) >> shift; ++cell) {
    const uint32_t written = block.write_stamps[cell];
    if (unordered(w, written, thread))
      race(w, line, lane, offset, "writes", "thread " + name_of_thread(w, thread_of(written)) + " writes");
    check_readers(w, line, lane, offset, thread, block.read_stamps[cell], block.read_warps[cell]);
    block.write_stamps[cell] = w.clocks[w.index] << 12 | thread;
  }
}

}  // namespace tr0n::emulator
