#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace tr0n::cuda {

/// What PTX text says of a kernel.
struct Entry {
  std::string file;
  std::vector<size_t> parameters;  ///< sizes in bytes
};

/// The kernels that a text of PTX defines. Reads what a compiler writes, no more.
std::map<std::string, Entry> entries_of(const std::string& file, const char* ptx);

/// Every kernel that is embedded in this build, by name; read from the PTX at the first call.
const std::map<std::string, Entry>& entries();

}  // namespace tr0n::cuda
