#include "base/cgroup.h"

#include <fstream>
#include <sstream>

namespace tr0n {

std::vector<std::string> cgroup_folders(const std::string& controller) {
  std::vector<std::string> folders;
  const auto add_upwards = [&](const std::string& root, std::string path) {
    if (path == "/") path.clear();
    for (;;) {
      folders.push_back(root + path);
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos) return;
      path.resize(slash);
    }
  };
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/a/b" or "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      path = line.substr(second + 1);
    if (controllers.empty()) add_upwards("/sys/fs/cgroup", path);
    std::stringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != controller) continue;
      add_upwards("/sys/fs/cgroup/" + controllers, path);
      if (controllers != controller) add_upwards("/sys/fs/cgroup/" + controller, path);
    }
  }
  return folders;
}

}  // namespace tr0n
