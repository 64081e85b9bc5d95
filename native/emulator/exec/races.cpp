#include <algorithm>

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

struct Here {
  const Warp& w;
  int line, lane;
  uint64_t offset;
};

[[noreturn]] void race(const Here& here, const char* now, const std::string& before, int line) {
  here.w.fault_at(here.line, here.lane, Kind::race,
                  std::string(now) + " shared memory at " + std::to_string(here.offset) + " that " + before +
                      " at PTX line " + std::to_string(line) + " without a barrier in between");
}

[[noreturn]] void race_with_writer(const Here& here, const char* now, const SharedCell& cell) {
  race(here, now, "thread " + name_of_thread(here.w, thread_of(cell.written)) + " writes", cell.write_line);
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

void check_readers(const Here& here, uint32_t thread, const SharedCell& cell) {
  const Warp& w = here.w;
  if (clock_of(cell.read) < w.clock_floor) return;
  if ((cell.read & kFlag) == 0) {
    if (unordered(w, cell.read, thread))
      race(here, "writes", "thread " + name_of_thread(w, thread_of(cell.read)) + " reads", cell.read_line);
    return;
  }
  for (uint32_t v = 0; v < w.clocks.size(); ++v) {
    if ((cell.read_warps >> v & 1) != 0 && clock_of(cell.read) >= w.clocks[v])
      race(here, "writes", "threads of warp " + std::to_string(v) + " read", cell.read_line);
  }
}

}  // namespace

void check_shared_read(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes) {
  if (!config().check_races) return;
  Block& block = *w.block;
  const uint32_t shift = block.granule_shift, clock = w.clocks[w.index] << 12, warp_bit = 1U << w.index;
  // Lanes that read one place are taken together where they are neighbours, 8 or 16 lanes apart.
  uint32_t distinct = mask, several = 0;
  for (int l = 1; l < kLanes; ++l) {
    for (const int back : {1, 8, 16}) {
      const int before = l - back;
      if (before < 0 || (mask >> before & 1) == 0 || offsets[l] != offsets[before]) continue;
      distinct &= ~(1U << l);
      several |= 1U << before;
      break;
    }
  }
  for (uint32_t rest = distinct; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint32_t thread = w.index * kLanes + static_cast<uint32_t>(l);
    const bool many = (several >> l & 1) != 0;
    const uint32_t now = clock | (many ? kFlag : thread);
    SharedCell* cell = block.cells.data() + (offsets[l] >> shift);
    const SharedCell* const last = block.cells.data() + ((offsets[l] + bytes - 1) >> shift);
    for (; cell <= last; ++cell) {
      if (clock_of(cell->written) >= w.clock_floor && unordered(w, cell->written, thread))
        race_with_writer({w, i.line, l, offsets[l]}, "reads", *cell);
      if (clock_of(cell->read) < w.clock_floor) {
        cell->read = now;
        cell->read_warps = warp_bit;
        cell->read_line = i.line;
      } else if (cell->read != now || (cell->read_warps & warp_bit) == 0) {
        const uint32_t latest = std::max(clock_of(cell->read) << 12, clock);
        const bool same = !many && (cell->read & kFlag) == 0 && thread_of(cell->read) == thread;
        cell->read = same ? latest | thread : latest | kFlag;
        cell->read_warps |= warp_bit;
        cell->read_line = i.line;
      }
    }
  }
}

void check_shared_write(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                        bool atomic) {
  if (!config().check_races) return;
  Block& block = *w.block;
  const uint32_t shift = block.granule_shift, now = w.clocks[w.index] << 12 | (atomic ? kFlag : 0);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint32_t thread = w.index * kLanes + static_cast<uint32_t>(l);
    const Here here{w, i.line, l, offsets[l]};
    SharedCell* cell = block.cells.data() + (offsets[l] >> shift);
    const SharedCell* const last = block.cells.data() + ((offsets[l] + bytes - 1) >> shift);
    for (; cell <= last; ++cell) {
      if (clock_of(cell->written) >= w.clock_floor && !(atomic && (cell->written & kFlag) != 0) &&
          unordered(w, cell->written, thread) &&
          (atomic || !same_value(w, i, mask, offsets, l, thread_of(cell->written)))) {
        race_with_writer(here, atomic ? "updates" : "writes", *cell);
      }
      check_readers(here, thread, *cell);
      cell->written = now | thread;
      cell->write_line = i.line;
    }
  }
}

void stamp_shared_write(Warp& w, int lane, uint32_t offset, unsigned bytes, int line) {
  if (!config().check_races) return;
  Block& block = *w.block;
  const uint32_t thread = w.index * kLanes + static_cast<uint32_t>(lane), shift = block.granule_shift;
  const Here here{w, line, lane, offset};
  for (uint32_t at = offset >> shift; at <= (offset + bytes - 1) >> shift; ++at) {
    SharedCell& cell = block.cells[at];
    if (unordered(w, cell.written, thread)) race_with_writer(here, "writes", cell);
    check_readers(here, thread, cell);
    cell.written = w.clocks[w.index] << 12 | thread;
    cell.write_line = line;
  }
}

}  // namespace tr0n::emulator
