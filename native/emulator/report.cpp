#include "emulator/report.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace tr0n::emulator {
namespace {

struct State {
  std::mutex mutex;
  std::vector<Violation> kept;
  uint64_t count = 0;
};
/// Never destroyed: what is written at the process's end still reads it.
State& state() {
  static auto* instance = new State;
  return *instance;
}

std::string triple(const uint32_t (&index)[3]) {
  return "(" + std::to_string(index[0]) + "," + std::to_string(index[1]) + "," + std::to_string(index[2]) +
         ")";
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::out_of_bounds:
      return "out-of-bounds";
    case Kind::use_after_free:
      return "use-after-free";
    case Kind::misaligned:
      return "misaligned";
    case Kind::uninitialised:
      return "uninitialised";
    case Kind::unfinished_copy:
      return "unfinished-copy";
    case Kind::race:
      return "race";
    case Kind::divergent_barrier:
      return "divergent-barrier";
    case Kind::double_free:
      return "double-free";
    case Kind::leak:
      return "leak";
    case Kind::unknown_instruction:
      return "unknown-instruction";
    case Kind::trap:
      return "trap";
    case Kind::timeout:
      return "timeout";
    case Kind::invalid_call:
      return "invalid-call";
  }
  return "unknown";
}

cuda::CUresult status_of(Kind kind) {
  switch (kind) {
    case Kind::out_of_bounds:
    case Kind::use_after_free:
      return cuda::CUDA_ERROR_ILLEGAL_ADDRESS;
    case Kind::misaligned:
      return cuda::CUDA_ERROR_MISALIGNED_ADDRESS;
    case Kind::unknown_instruction:
      return cuda::CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case Kind::timeout:
      return cuda::CUDA_ERROR_LAUNCH_TIMEOUT;
    default:
      return cuda::CUDA_ERROR_LAUNCH_FAILED;
  }
}

std::string text_of(const Violation& violation) {
  std::string text = std::string(name_of(violation.kind)) + " in " + violation.kernel;
  if (violation.line > 0) text += " at PTX line " + std::to_string(violation.line);
  if (violation.in_kernel)
    text += ", block " + triple(violation.block) + ", thread " + triple(violation.thread);
  return text + ": " + violation.what;
}

void report(Violation violation) {
  const std::lock_guard lock(state().mutex);
  ++state().count;
  static const bool print = std::getenv("TR0N_EMULATOR_PRINT") != nullptr;
  if (print) std::fprintf(stderr, "emulator: %s\n", text_of(violation).c_str());
  if (state().kept.size() < 100) state().kept.push_back(std::move(violation));
}

std::vector<Violation> violations() {
  const std::lock_guard lock(state().mutex);
  return state().kept;
}

uint64_t violation_count() {
  const std::lock_guard lock(state().mutex);
  return state().count;
}

void reset_violations() {
  const std::lock_guard lock(state().mutex);
  state().kept.clear();
  state().count = 0;
}

}  // namespace tr0n::emulator
