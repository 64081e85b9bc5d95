#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cuda/context.h"
#include "cuda/images.h"

namespace tr0n::cuda {

/// A kernel that can be launched.
struct Function {
  std::string name;
  CUfunction handle = nullptr;
  std::vector<size_t> parameters;  ///< their sizes, in order
  size_t static_shared = 0;        ///< bytes
  size_t allowed_shared = 0;       ///< dynamic bytes that the driver was told to allow
};

/// "sm_89" or "compute_80 (PTX)"
std::string describe(const Image& image);

/// Images of a file, in the order in which a device of this compute capability should try them: machine code
/// of its architecture, of lower minor versions of the same major one (newest first), then PTX, newest first.
std::vector<Image> candidates(const std::string& file, int compute_capability);

/// The kernels of one device. A file's image is loaded at the first use of one of its kernels. Not for
/// several threads at once. The context must be current.
class Modules {
 public:
  explicit Modules(const Context& context) : context_(context) {}
  ~Modules();
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  /// Throws ERR_DEVICE_UNAVAILABLE where no image of the kernel's file can be loaded: names each and why.
  Function& function(const char* name);
  /// The images that were loaded so far, described, by file.
  const std::map<std::string, std::string>& loaded() const { return descriptions_; }

 private:
  CUmodule load(const std::string& file);

  const Context& context_;
  std::map<std::string, CUmodule> modules_;          ///< by file
  std::map<std::string, std::string> descriptions_;  ///< by file
  std::map<std::string, Function> functions_;
};

}  // namespace tr0n::cuda
