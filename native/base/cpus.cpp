/// How many CPUs this process may use: a container's quota is often far below the machine's core count, and a
/// pool sized by the latter is throttled for most of every scheduling period.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#include "base/cgroup.h"
#include "base/thread_pool.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace tr0n {
namespace {

#ifdef __linux__
size_t affinity_cpus() {
  for (size_t cpus = 1024; cpus <= 1u << 20;
       cpus *= 2) {  // the kernel refuses a mask that is too small for it
    cpu_set_t* mask = CPU_ALLOC(cpus);
    if (mask == nullptr) return 0;
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool known = sched_getaffinity(0, bytes, mask) == 0;
    const size_t count = known ? static_cast<size_t>(CPU_COUNT_S(bytes, mask)) : 0;
    CPU_FREE(mask);
    if (known) return count;
  }
  return 0;
}

/// Quota in CPUs of one cgroup v2 folder, 0 when it has none. cpu.max: "max 100000" or "150000 100000".
double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period && period > 0 ? quota / period : 0;
}

double quota_v1(const std::string& folder) {
  double quota = 0, period = 0;
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  return quota_file >> quota && period_file >> period && quota > 0 && period > 0 ? quota / period : 0;
}

#endif

}  // namespace

#ifdef __linux__
double cpu_quota(const std::vector<std::string>& folders) {
  double smallest = 0;
  for (const std::string& folder : folders)
    for (const double quota : {quota_v2(folder), quota_v1(folder)})
      if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
  return smallest;
}
#else
double cpu_quota(const std::vector<std::string>&) { return 0; }
#endif

size_t available_cpus() {
  size_t cpus = std::max<size_t>(1, std::thread::hardware_concurrency());
#ifdef __linux__
  if (const size_t allowed = affinity_cpus(); allowed > 0) cpus = allowed;
  if (const double quota = cpu_quota(cgroup_folders("cpu")); quota > 0 && quota < static_cast<double>(cpus))
    cpus = std::max<size_t>(1, static_cast<size_t>(std::ceil(quota)));
#endif
  return cpus;
}

}  // namespace tr0n
