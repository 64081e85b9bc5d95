#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bridge/ort_runtime.h"
#include "bridge/weight_file.h"

namespace tr0n {

struct FileWeight;

/// The weights of models in files, once for all sessions that use the same files: the files are read once,
/// and the form that kernels pack matrices into is made by the first session and used by the others.
/// (Measured with ONNX Runtime 1.30: of a 100 MB stack of Gemms the second and third session take 5 MB each.
/// Convolutions are different: the optimiser rewrites their weights for each session, which nothing can
/// share.)
class SharedWeights {
 public:
  /// Those in use for this set of files, or new ones, with all of `weights` read. Throws what OpenedFile
  /// does, ERR_MODEL_INVALID where a weight does not lie in its file, and ERR_OUT_OF_MEMORY, naming `model`.
  static std::shared_ptr<const SharedWeights> of(const std::vector<FileWeight>& weights,
                                                 const std::string& model);

  /// A weight that `of` was given, as a value over that memory, which lives as long as this.
  ort::ValueHandle value(const FileWeight& weight) const;
  /// Where kernels keep what they pack; the runtime locks it.
  ort::PackedWeights* packed() const { return packed_.get(); }

 private:
  /// By path and state.
  using Files = std::map<std::pair<std::string, std::string>, std::shared_ptr<WeightFile>>;
  explicit SharedWeights(Files files);
  static std::shared_ptr<const SharedWeights> shared(Files files);
  Files files_;
  ort::PackedWeightsHandle packed_;
};

}  // namespace tr0n
