#include <sched.h>

#include <algorithm>
#include <mutex>
#include <numeric>
#include <thread>

#include "emulator/config.h"
#include "emulator/exec/block.h"

namespace tr0n::emulator {
namespace {

unsigned thread_count(const Launch& launch) {
  // Atomics let blocks see each other's order: one worker keeps results the same in every run.
  if (launch.function->has_global_atomics || launch.cooperative || launch.blocks() < 2) return 1;
  unsigned threads = static_cast<unsigned>(std::max(config().threads, 0));
  if (threads == 0) {
    cpu_set_t set;
    threads = sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
    threads = std::min(threads, 8U);
  }
  return static_cast<unsigned>(std::min<uint64_t>(threads, launch.blocks()));
}

/// Which block comes when: a device promises no order.
class Order {
 public:
  explicit Order(uint64_t blocks) : blocks_(blocks) {
    const int order = config().order;
    if (order == 1) {
      step_ = blocks - 1;
      start_ = blocks - 1;
    } else if (order > 1 && blocks > 1) {
      uint64_t state = static_cast<uint64_t>(order) * 0x9E3779B97F4A7C15ULL;
      state ^= state >> 29;
      start_ = state % blocks;
      step_ = state / blocks % blocks;
      while (std::gcd(step_, blocks) != 1) step_ = (step_ + 1) % blocks;
    }
  }
  /// A permutation: the step shares no factor with the number of blocks.
  uint64_t operator()(uint64_t turn) const {
    return static_cast<uint64_t>((start_ + static_cast<unsigned __int128>(turn) * step_) % blocks_);
  }

 private:
  const uint64_t blocks_;
  uint64_t start_ = 0, step_ = 1;
};

struct Worker {
  std::vector<Profile> profile;
  MemoryCounters counters;
};

/// Blocks one after the other; of a cooperative launch, which may wait for each other, all in turn.
void work(Launch& launch, Worker& worker, std::atomic<uint64_t>& next) {
  worker.profile.resize(launch.module->counters);
  std::vector<std::unique_ptr<Block>> resident, spare;
  const Order order(launch.blocks());
  for (;;) {
    const uint64_t number = next.fetch_add(1);
    if (number < launch.blocks()) {
      auto block = spare.empty() ? std::make_unique<Block>() : std::move(spare.back());
      if (!spare.empty()) spare.pop_back();
      block->start(launch, order(number), worker.profile.data(), &worker.counters);
      resident.push_back(std::move(block));
    } else if (resident.empty()) {
      return;
    }
    const uint64_t budget = launch.cooperative ? 20000 : uint64_t{1} << 62;
    for (auto& block : resident) {
      if (block->run(budget)) spare.push_back(std::move(block));
    }
    std::erase(resident, nullptr);
  }
}

}  // namespace

void execute(Launch& launch) {
  static std::atomic<uint32_t> launches{0};
  launch.number = ++launches;
  launch.profile.assign(launch.module->counters, Profile{});
  const unsigned threads = thread_count(launch);
  std::vector<Worker> workers(threads);
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  cuda::CUresult status = cuda::CUDA_SUCCESS;
  const auto run = [&](Worker& worker) {
    try {
      work(launch, worker, next);
    } catch (const Fault& fault) {
      const std::lock_guard lock(mutex);
      // Workers that stop because another one faulted give the general status.
      if (status == cuda::CUDA_SUCCESS || status == cuda::CUDA_ERROR_LAUNCH_FAILED) status = fault.status;
      launch.stopped = true;
    } catch (const std::bad_alloc&) {
      const std::lock_guard lock(mutex);
      status = cuda::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
      launch.stopped = true;
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned t = 1; t < threads; ++t) helpers.emplace_back(run, std::ref(workers[t]));
  run(workers[0]);
  for (std::thread& helper : helpers) helper.join();
  for (const Worker& worker : workers) {
    launch.counters.add(worker.counters);
    for (size_t k = 0; k < worker.profile.size(); ++k) {
      launch.profile[k].warps += worker.profile[k].warps;
      launch.profile[k].lanes += worker.profile[k].lanes;
    }
  }
  if (status != cuda::CUDA_SUCCESS) throw Fault(status);
}

}  // namespace tr0n::emulator
