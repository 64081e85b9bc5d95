#include "bridge/simplify.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bridge/session_options.h"
#include "bridge/value_pool.h"

namespace tr0n {
namespace {

namespace fs = std::filesystem;

Error io_error(const std::string& name, const std::string& path, const std::string& why) {
  return Error("ERR_IO", name + ": simplifying needs a temporary file, but \"" + path + "\" " + why);
}

/// A folder that nobody else can read, gone with its contents at the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name) {
    std::error_code error;
    const fs::path parent = fs::temp_directory_path(error);
    if (error) throw io_error(name, "the temporary folder", "is not there: " + error.message());
    path_ = (parent / "tr0n-XXXXXX").string();
    if (!mkdtemp(path_.data()))
      throw io_error(name, path_, std::string("cannot be made: ") + strerror(errno));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const char* name) const { return (fs::path(path_) / name).string(); }

 private:
  std::string path_;
};

HostBlock read_back(const std::string& path, const std::string& name) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw io_error(name, path, "was not written");
  const auto size = static_cast<size_t>(file.tellg());
  HostBlock bytes(size);
  file.seekg(0);
  if (!file.read(static_cast<char*>(bytes.data()), static_cast<std::streamsize>(size)))
    throw io_error(name, path, "cannot be read back");
  return bytes;
}

template <class Open>
void simplify(const SessionConfig& config, const std::string& path, Open open) {
  const ort::Api& api = ort::Runtime::instance().api();
  PreparedOptions prepared(config);
  ort::SessionOptions* options = prepared.options.get();
  ort::check(api, api.SetSessionGraphOptimizationLevel(options, ort::kOptimizeBasic));
  ort::check(api, api.SetOptimizedModelFilePath(options, path.c_str()));
  // Nothing will run: kernels need not rearrange their weights.
  ort::check(api, api.AddSessionConfigEntry(options, "session.disable_prepacking", "1"));
  open(prepared);
  ValuePool::instance().trim_all();
}

template <class Open>
HostBlock simplify(const SessionConfig& config, Open open) {
  const TemporaryFolder folder(config.name);
  const std::string path = folder.file("simplified.onnx");
  simplify(config, path, open);
  return read_back(path, config.name);
}

}  // namespace

HostBlock simplify_file(const std::string& path, const SessionConfig& config) {
  const OpenedFile file(path, model_file_name(path, config.name), config.state);
  return simplify(config, [&](PreparedOptions& options) { open_file(file, options, config); });
}

void simplify_into(const std::string& path, const void* bytes, size_t size, const SessionConfig& config) {
  simplify(config, path, [&](PreparedOptions& options) { open_bytes(bytes, size, options, config); });
}

HostBlock simplify_bytes(const void* bytes, size_t size, const SessionConfig& config) {
  return simplify(config, [&](PreparedOptions& options) { open_bytes(bytes, size, options, config); });
}

}  // namespace tr0n
