#pragma once
#include <string>
#include <vector>

namespace tr0n {

/// The folders whose limits bind this process for a controller ("cpu", "memory"): its cgroup and all those
/// above, in version 2's and version 1's hierarchy. Empty where there are no cgroups. A folder need not
/// exist.
std::vector<std::string> cgroup_folders(const std::string& controller);

/// The smallest CPU quota that any of these folders sets (cgroup v2's cpu.max or v1's cfs files), in CPUs; 0
/// where none does.
double cpu_quota(const std::vector<std::string>& folders);

}  // namespace tr0n
