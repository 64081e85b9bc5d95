#include <cstdio>

#include "emulator/config.h"
#include "emulator/driver/driver.h"

namespace tr0n::cuda {
namespace {

// What the estimate assumes, of an H100 SXM: bytes per second of device memory, FLOPs per second of single
// precision, of double, and of dense TF32 matrix instructions. Nothing is known of latencies, caches or
// overlap.
constexpr double kBandwidth = 3.35e12, kSingle = 67e12, kDouble = 34e12, kTensor = 495e12;

struct Kernel {
  uint64_t launches = 0, blocks = 0, threads = 0, shared_bytes = 0;
  uint64_t by_class[static_cast<size_t>(emulator::Class::count)] = {};
  uint64_t instructions = 0, lanes = 0, flops = 0, double_flops = 0, tensor_flops = 0;
  emulator::MemoryCounters memory;
};

std::map<std::string, Kernel>& kernels() {
  static auto* table = new std::map<std::string, Kernel>;
  return *table;
}

void add(std::string& json, const char* name, uint64_t value) {
  json += "\"" + std::string(name) + "\":" + std::to_string(value) + ",";
}

double estimate_of(const Kernel& k) {
  const double bytes =
      32.0 * static_cast<double>(k.memory.distinct_load_sectors + k.memory.distinct_store_sectors);
  double seconds = bytes / kBandwidth;
  seconds = std::max(seconds, static_cast<double>(k.flops - k.double_flops) / kSingle);
  seconds = std::max(seconds, static_cast<double>(k.double_flops) / kDouble);
  return std::max(seconds, static_cast<double>(k.tensor_flops) / kTensor);
}

}  // namespace

void count_launch(const emulator::Launch& launch) {
  Kernel& k = kernels()[launch.function->name];
  ++k.launches;
  k.blocks += launch.blocks();
  k.threads += launch.blocks() * launch.threads_per_block();
  k.shared_bytes = launch.function->shared_bytes + launch.dynamic_shared;
  k.memory.add(launch.counters);
  for (const auto& function : launch.module->functions) {
    for (size_t i = 0; i < function->code.size(); ++i) {
      const emulator::Inst& inst = function->code[i];
      const emulator::Profile& profile = launch.profile[function->first_counter + i];
      if (inst.group == emulator::Class::count || profile.warps == 0) continue;
      k.by_class[static_cast<size_t>(inst.group)] += profile.warps;
      k.instructions += profile.warps;
      k.lanes += profile.lanes;
      k.flops += profile.lanes * inst.flops;
      if (inst.group == emulator::Class::fp64) k.double_flops += profile.lanes * inst.flops;
      k.tensor_flops += profile.lanes / emulator::kLanes * inst.tensor_flops;
    }
  }
}

void reset_counters() { kernels().clear(); }

/// {"device": the estimate's GPU, "kernels": [{name, launches, …}]}: counts of all launches of a kernel since
/// the last reset.
std::string counters_as_json() {
  std::string json =
      "{\"estimate\":\"roofline of an H100 SXM (3.35 TB/s, 67 TFLOP/s single, 495 TFLOP/s TF32); an "
      "estimate, not a measurement\",\"kernels\":[";
  bool first = true;
  for (const auto& [name, k] : kernels()) {
    json += first ? "{" : ",{";
    first = false;
    json += "\"name\":\"" + name + "\",";
    add(json, "launches", k.launches);
    add(json, "blocks", k.blocks);
    add(json, "threads", k.threads);
    add(json, "sharedBytesPerBlock", k.shared_bytes);
    add(json, "warpInstructions", k.instructions);
    add(json, "laneInstructions", k.lanes);
    json += "\"warpInstructionsByClass\":{";
    for (size_t c = 0; c < static_cast<size_t>(emulator::Class::count); ++c) {
      json += (c > 0 ? ",\"" : "\"") + std::string(name_of(static_cast<emulator::Class>(c))) +
              "\":" + std::to_string(k.by_class[c]);
    }
    json += "},";
    add(json, "flops", k.flops);
    add(json, "doubleFlops", k.double_flops);
    add(json, "tensorFlops", k.tensor_flops);
    add(json, "globalLoadBytes", k.memory.load_bytes);
    add(json, "globalStoreBytes", k.memory.store_bytes);
    add(json, "sectors", k.memory.sectors);
    add(json, "minimumSectors", k.memory.minimum_sectors);
    add(json, "distinctLoadSectors", k.memory.distinct_load_sectors);
    add(json, "distinctStoreSectors", k.memory.distinct_store_sectors);
    add(json, "sharedBytes", k.memory.shared_bytes);
    add(json, "sharedWavefronts", k.memory.wavefronts);
    add(json, "sharedConflicts", k.memory.conflicts);
    add(json, "barriers", k.memory.barriers);
    add(json, "atomics", k.memory.atomics);
    char text[64];
    std::snprintf(text, sizeof text, "\"estimatedMicroseconds\":%.3f}", 1e6 * estimate_of(k));
    json += text;
  }
  return json + "]}";
}

}  // namespace tr0n::cuda
