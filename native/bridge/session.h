#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "bridge/host_block.h"
#include "bridge/model_device.h"
#include "bridge/ort_runtime.h"
#include "bridge/placed_tensor.h"
#include "bridge/value_info.h"

namespace tr0n {

/// A tensor in the caller's memory.
struct TensorView {
  const void* data = nullptr;
  ort::ElementType type = ort::ElementType::undefined;
  std::vector<int64_t> shape;
};

/// A tensor that owns its memory.
struct TensorValue {
  HostBlock data;
  ort::ElementType type = ort::ElementType::undefined;
  std::vector<int64_t> shape;
};

/// A weight of a model that lies in a file, as it does for models with external data.
struct FileWeight {
  std::string name;
  ort::ElementType type = ort::ElementType::undefined;
  std::vector<int64_t> shape;
  std::string file;
  std::string state;  ///< of the file, as OpenedFile says it
  size_t offset = 0;
  /// Whether it stays as it is, for others, and what is packed of it is theirs, too. Without it the session
  /// lets go of it once its kernels have it in another form.
  bool shared = true;
};

struct SessionConfig {
  int threads = 1;   ///< ONNX Runtime's intra-op threads
  std::string name;  ///< for messages: the file, or what the graph is for
  /// Of the model's file, as OpenedFile says it; empty for any.
  std::string state;
  /// Inputs of the model's bytes that are constants in files; shared by all sessions on the same files.
  std::vector<FileWeight> weights;
  /// Whether the matrices of products are rearranged for their kernels when the session opens. Without it
  /// products read them as they lie: nodes that read the same matrix share it, and each product takes
  /// longer, the more the fewer rows it has.
  bool pack_weights = true;
  /// Whether what follows from weights alone is computed when the session opens, and kept. Without it only
  /// small results are: a weight of few bits stays as it is, and each run makes float32 of it.
  bool fold_weights = true;
  CancelToken* cancel = nullptr;  ///< ends the opening; not needed afterwards
  /// Where the model runs; null: the CPU.
  std::shared_ptr<ModelDevice> device;
  ModelDeviceSettings device_settings;
};

class CancellableRun;
struct AssignedNode;
struct PreparedOptions;

/// A model loaded into ONNX Runtime. Runs may come from several threads at once.
class Session {
 public:
  /// A model whose constants lie in other files is refused in either form: the runtime would open whatever
  /// they name, and map it. Throws ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED,
  /// ERR_OUT_OF_MEMORY, ERR_RUNTIME_MISSING.
  static Session from_file(const std::string& path, const SessionConfig& config);
  /// The bytes are not needed afterwards.
  static Session from_bytes(const void* bytes, size_t size, const SessionConfig& config);

  const std::string& name() const { return name_; }
  const std::vector<ValueInfo>& inputs() const { return inputs_; }
  const std::vector<ValueInfo>& outputs() const { return outputs_; }
  /// Throw ERR_INVALID_ARGUMENT listing the names there are.
  const ValueInfo& input(const std::string& name) const;
  const ValueInfo& output(const std::string& name) const;
  /// Size of the model as given, without external data: what its weights take at least.
  size_t model_bytes() const { return model_bytes_; }
  /// Where it runs; null: the CPU. Runs on a device take turns.
  ModelDevice* device() const { return device_.get(); }

  using Inputs = std::vector<std::pair<std::string, TensorView>>;
  /// What run() would refuse: names, types, shapes. Throws ERR_INVALID_ARGUMENT or ERR_SHAPE_MISMATCH.
  void check(const Inputs& inputs, const std::vector<std::string>& outputs) const;
  /// The named outputs, in that order.
  std::vector<TensorValue> run(const Inputs& inputs, const std::vector<std::string>& outputs,
                               CancelToken& cancel) const;

  /// One call into the runtime, nothing checked but its status. Null entries of `outputs` are allocated by
  /// it.
  void run_raw(const ort::RunOptions* options, const char* const* input_names,
               const ort::Value* const* inputs, size_t input_count, const char* const* output_names,
               size_t output_count, ort::Value** outputs, const CancelToken& cancel) const;

  /// Where values lie that the session need not copy.
  Place place() const;
  struct Feed {
    const char* name;
    const PlacedTensor* tensor;  ///< with the host or at place(); its value, or else its data
  };
  struct Fetch {
    const char* name;
    PlacedTensor* tensor;  ///< written to its data, which has its shape; without data it gets shape and value
    bool anywhere = false;  ///< it is left where the session makes it, and has no other type to have
  };
  /// One call into the runtime, nothing checked but its status, on values with the host or at place(). It may
  /// return before a device has finished: what is read by the place's queue comes after.
  void run_placed(const CancellableRun& run, const Feed* feeds, size_t feed_count, const Fetch* fetches,
                  size_t fetch_count, const CancelToken& cancel) const;

 private:
  friend std::optional<std::vector<AssignedNode>> assignment(const Session& session);
  void run_bound(const CancellableRun& run, const Feed* feeds, size_t feed_count, const Fetch* fetches,
                 size_t fetch_count, const CancelToken& cancel) const;
  void hand_over(std::vector<ort::ValueHandle> made, const Fetch* fetches, size_t count) const;
  void check_run(ort::Status* status, const CancelToken& cancel) const;
  void learn_memory();
  const ort::MemoryInfo* memory_of(const std::vector<ValueInfo>& values,
                                   const std::vector<const ort::MemoryInfo*>& memory, const char* name) const;
  Session(ort::SessionHandle handle, const SessionConfig& config, size_t model_bytes,
          std::shared_ptr<const PreparedOptions> options);
  std::shared_ptr<ModelDevice> device_;
  std::shared_ptr<ort::RawSession> handle_;  ///< with what it points into
  std::string name_;
  size_t model_bytes_ = 0;
  std::vector<ValueInfo> inputs_, outputs_;
  /// Where the session wants and makes them; null where the runtime does not tell.
  std::vector<const ort::MemoryInfo*> input_memory_, output_memory_;
};

/// Options of one run that end it from inside when the token is cancelled.
class CancellableRun {
 public:
  /// `queued`: runs in a device's queue need not be waited for.
  explicit CancellableRun(CancelToken& cancel, bool queued = false);
  /// Of a run that nobody waits for, where this allows it, or else of one that is finished when it returns.
  const ort::RunOptions* options(bool queued = false) const {
    return queued && queued_ ? queued_.get() : options_.get();
  }

 private:
  ort::RunOptionsHandle options_, queued_;
  CancelToken::Hook hook_;
};

/// A tensor over memory that outlives it.
ort::ValueHandle make_value(void* data, size_t bytes, const int64_t* shape, size_t rank,
                            ort::ElementType type,
                            const ort::MemoryInfo* memory = ort::Runtime::instance().cpu_memory());
/// A tensor the runtime made, in its memory. Throws ERR_MODEL_UNSUPPORTED on values that are not numeric
/// tensors.
TensorView value_view(ort::Value* value, const std::string& what);
/// Copies a value the runtime made. Throws ERR_MODEL_UNSUPPORTED on values that are not numeric tensors.
TensorValue copy_value(ort::Value* value, const std::string& what);

}  // namespace tr0n
