#pragma once
#include <string>
#include <vector>

namespace tr0n {

/// The folders whose limits bind this process for a controller ("cpu", "memory"): its cgroup and all those
/// above, in version 2's and version 1's hierarchy. Empty where there are no cgroups. A folder need not
/// exist.
std::vector<std::string> cgroup_folders(const std::string& controller);

}  // namespace tr0n
