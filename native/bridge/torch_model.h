#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "bridge/session.h"
#include "bridge/torch_runtime.h"

namespace tr0n {

class TorchModel;

/// What a forward pass did.
struct TorchWork {
  double flops = 0;      ///< two for each multiply-add, one for each element of anything else
  double operators = 0;  ///< calls
};

/// A run of a TorchScript model: its outputs and, where it was recorded, the way back. It keeps its model.
class TorchTape {
 public:
  size_t output_count() const { return outputs_.size(); }
  /// Name, type and shape as they came out.
  const ValueInfo& info(size_t output) const { return outputs_[output].info; }
  /// Dense, in host memory, valid as long as the tape.
  const void* data(size_t output) const { return outputs_[output].data; }

  /// Nothing unless the run was to be counted.
  TorchWork work() const;

  /// Vector–Jacobian product. cotangents[k] has the shape of output k, null is zero; gradients[i] has the
  /// shape of input i and is written as Σ_k J_kᵀ·cotangents[k], null is not wanted. Model values of other
  /// types than float32 are converted. Activations are freed on the way: without `keep` a tape has one
  /// backward.
  ///
  /// Throws ERR_NO_GRADIENT where nothing differentiable leads to an output with a cotangent, ERR_RUN_FAILED,
  /// ERR_OUT_OF_MEMORY, ERR_ABORTED.
  void backward(const float* const* cotangents, float* const* gradients, int threads,
                const CancelToken& cancel, bool keep = false);

 private:
  friend class TorchModel;
  struct Output {
    ValueInfo info;
    const void* data;
  };
  TorchTape(std::shared_ptr<const TorchModel> model, TorchTapeHandle tape);
  std::shared_ptr<const TorchModel> model_;  ///< outlives the tape
  TorchTapeHandle tape_;
  std::vector<Output> outputs_;
  std::vector<std::vector<int64_t>> input_shapes_;
};

/// What is wanted of a run: the outputs' numbers; those, and what they cost; only the outputs' shapes, for
/// which products and convolutions are not computed.
enum class TorchWanted : int32_t {
  numbers = 0,
  work = TR0N_TORCH_COUNT,
  shapes = TR0N_TORCH_SHAPES,
};

/// What a TorchScript model is opened with.
struct TorchOpening {
  int device = -1;       ///< −1 for the CPU, or the number of a CUDA device of libtorch's
  bool trusted = false;  ///< its code may do more than compute
};

/// A TorchScript model, opened through the module that contains libtorch: frozen, in eval mode. Runs may come
/// from several threads at once.
class TorchModel : public std::enable_shared_from_this<TorchModel> {
 public:
  static constexpr int kHost = -1;
  /// Throw ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID (truncated, damaged, a pickle that is no TorchScript),
  /// ERR_MODEL_UNSUPPORTED (unknown operators, no forward(), arguments that are no tensors),
  /// ERR_MODEL_CODE (operators that do more than compute, of a file that is not trusted), ERR_OUT_OF_MEMORY,
  /// ERR_RUNTIME_MISSING, ERR_DEVICE_UNAVAILABLE, ERR_ABORTED.
  static std::shared_ptr<const TorchModel> from_file(const std::string& path, const std::string& name,
                                                     const TorchOpening& opening, const CancelToken& cancel);
  /// The bytes are not needed afterwards.
  static std::shared_ptr<const TorchModel> from_bytes(const void* bytes, size_t size, const std::string& name,
                                                      const TorchOpening& opening, const CancelToken& cancel);
  /// A model that shares this one's weights, with one output "columns" [rows, F + K]: features, then the
  /// named output. Features are another output, or where `features` is empty what the last linear layer
  /// reads. Throws ERR_INVALID_ARGUMENT, ERR_MODEL_UNSUPPORTED where the model's code does not tell.
  std::shared_ptr<const TorchModel> with_features(const std::string& output,
                                                  const std::string& features) const;

  const std::string& name() const { return name_; }
  /// The tensors of forward()'s schema. Shapes (empty where nothing is known, else −1 where a size is not)
  /// and types (undefined where not known) are what the graph lets guess: probe_torch_model() tries them.
  const std::vector<ValueInfo>& inputs() const { return inputs_; }
  size_t parameter_bytes() const { return parameter_bytes_; }
  /// What the model's code tells, as JSON: native/torch/summary.h.
  std::string summary() const;

  /// Runs forward() on the calling thread with at most `threads` threads. Inputs in the order of inputs(), in
  /// host memory; they are copied. `record` keeps what the gradient needs; without it the run is in inference
  /// mode. It ends soon after `cancel` says so, if only not within an operator.
  ///
  /// Throws ERR_RUN_FAILED with what forward() raised, ERR_MODEL_UNSUPPORTED where it returns something else
  /// than tensors of numbers, ERR_OUT_OF_MEMORY, ERR_ABORTED.
  std::unique_ptr<TorchTape> run(const TensorView* inputs, size_t count, int threads, bool record,
                                 const CancelToken& cancel, TorchWanted wanted = TorchWanted::numbers) const;

 private:
  TorchModel(TorchModelHandle model, std::string name);
  TorchModelHandle model_;
  std::string name_;
  std::vector<ValueInfo> inputs_;
  size_t parameter_bytes_;
};

}  // namespace tr0n
