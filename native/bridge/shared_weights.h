#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/ort_runtime.h"
#include "bridge/weight_file.h"

namespace tr0n {

struct FileWeight;

/// The weights of a session that is being opened, out of files that all sessions on them share: each range is
/// in memory once, and the form that kernels pack matrices into is made by the first session and used by the
/// others. (Measured with ONNX Runtime 1.30: of a 100 MB stack of Gemms the second and third session take 5
/// MB each. Convolutions are different: the optimiser rewrites their weights for each session, which nothing
/// can share; what it has rewritten is let go of.)
class SharedWeights {
 public:
  /// Reads all of them. Throws what OpenedFile does, ERR_MODEL_INVALID where a weight does not lie in its
  /// file, and ERR_OUT_OF_MEMORY, naming `model`.
  SharedWeights(const std::vector<FileWeight>& weights, const std::string& model);

  /// A weight, by its place in the list. A shared one is a value over memory that range() keeps; any other
  /// keeps its memory until the runtime lets go of it.
  ort::ValueHandle value(size_t index) const;
  const WeightRange& range(size_t index) const { return ranges_[index]; }
  /// Where kernels keep what they pack; the runtime locks it. Sessions on it end before it does.
  const std::shared_ptr<ort::PackedWeights>& packed() const { return packed_; }

 private:
  const std::vector<FileWeight>* weights_;
  std::vector<WeightRange> ranges_;
  std::shared_ptr<ort::PackedWeights> packed_;
};

}  // namespace tr0n
