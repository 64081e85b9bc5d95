#pragma once
#include "emulator/exec/warp.h"

/// Addresses of a warp instruction to places in host memory, with every check and count on the way.
namespace tr0n::emulator {

enum class Access : uint8_t { read, write, atomic };

struct Pointers {
  std::byte* at[kLanes];
};

// `addresses` of all lanes; those of `mask` count. Faults where a lane has no right to its bytes.
void global_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* addresses, unsigned bytes,
                     Access access, Pointers& out);
void shared_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                     Access access, Pointers& out);
void local_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                    Access access, Pointers& out);
/// By the window of each lane's address.
void generic_pointers(Warp& w, const Inst& i, uint32_t mask, const uint64_t* addresses, unsigned bytes,
                      Access access, Pointers& out);
void pointers(Space space, Warp& w, const Inst& i, uint32_t mask, const uint64_t* addresses, unsigned bytes,
              Access access, Pointers& out);

// What a warp instruction moves (traffic.cpp).
void count_global(Warp& w, uint32_t mask, const uint64_t* addresses, unsigned bytes, bool store);
void count_shared(Warp& w, uint32_t mask, const uint64_t* offsets, unsigned bytes);

// The race check (races.cpp). `bytes` of one lane.
void check_shared_read(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes);
void check_shared_write(Warp& w, const Inst& i, uint32_t mask, const uint64_t* offsets, unsigned bytes,
                        bool atomic);
/// One thread's write at a place of its choice in the program: cp.async.
void stamp_shared_write(Warp& w, int lane, uint32_t offset, unsigned bytes, int line);

/// Base row plus the constant part.
inline void addresses_of(const Warp& w, const Inst& i, bool wide, uint64_t* out) {
  const auto offset = static_cast<uint64_t>(i.imm);
  if (wide) {
    const auto* base = w.row<uint64_t>(i.a);
    for (int l = 0; l < kLanes; ++l) out[l] = base[l] + offset;
  } else {
    const auto* base = w.row<uint32_t>(i.a);
    for (int l = 0; l < kLanes; ++l) out[l] = static_cast<uint32_t>(base[l] + static_cast<uint32_t>(offset));
  }
}

}  // namespace tr0n::emulator
