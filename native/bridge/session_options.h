#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/opened_file.h"
#include "bridge/ort_runtime.h"
#include "bridge/session.h"
#include "bridge/shared_weights.h"

/// What opening a session and simplifying a model have in common.
namespace tr0n {

/// ONNX Runtime's options with what they and their sessions point into.
struct PreparedOptions {
  /// Throws ERR_MODEL_NOT_FOUND or ERR_MODEL_INVALID where the files of weights are not as the config says.
  explicit PreparedOptions(const SessionConfig& config);
  ~PreparedOptions();
  PreparedOptions(const PreparedOptions&) = delete;
  PreparedOptions& operator=(const PreparedOptions&) = delete;
  /// Until a session has them; null where the config names no weights.
  std::unique_ptr<const SharedWeights> weights;
  std::shared_ptr<ort::PackedWeights> packed;  ///< outlives the session
  std::vector<ort::ValueHandle> values;        ///< of the config's weights that are shared
  std::vector<WeightRange> ranges;             ///< theirs
  ort::SessionOptionsHandle options;
  std::shared_ptr<ModelDevice> device;  ///< of the config
};

/// How messages call the file of a model.
std::string model_file_name(const std::string& path, const std::string& name);

/// Throw the codes of Session::from_file(), and ERR_ABORTED.
ort::SessionHandle open_file(const OpenedFile& file, const PreparedOptions& options,
                             const SessionConfig& config);
ort::SessionHandle open_bytes(const void* bytes, size_t size, PreparedOptions& options,
                              const SessionConfig& config);

}  // namespace tr0n
