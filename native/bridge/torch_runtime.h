#pragma once
#include <memory>
#include <new>
#include <string>

#include "torch/torch_api.h"

namespace tr0n {

/// The module that contains libtorch, opened when the first TorchScript model is. It is never closed:
/// libtorch's threads and exit handlers must stay mapped.
class TorchRuntime {
 public:
  /// Names the file to open. Has no effect once it is open.
  static void set_module(const std::string& path);
  /// Opens the module if need be; throws ERR_RUNTIME_MISSING saying what to install and what to run.
  static TorchRuntime& instance();
  /// libtorch's version, empty before the module is opened.
  static std::string version();
  /// Gives memory back that the module keeps for the next run; does nothing before it is opened.
  static void trim();

  /// The process will exit at once: ends jobs, waits a while for them, and lets no call in any more. A call
  /// that is still inside then, in the middle of its first uses perhaps, finds leaving before the exit
  /// handlers that they registered.
  static void prepare_exit();

  const tr0n_torch_api& api() const { return *api_; }

 private:
  explicit TorchRuntime(const std::string& path);
  const tr0n_torch_api* api_ = nullptr;
};

/// Marks a call into libtorch. A process that exits waits for marked calls (which end at their next operator)
/// and, where one takes too long, leaves without libtorch's exit handlers, which would take it apart under
/// the call.
class TorchCall {
 public:
  /// Throws ERR_ABORTED when the process is exiting.
  TorchCall();
  /// Does not throw: false when the process is exiting.
  explicit TorchCall(std::nothrow_t) noexcept;
  ~TorchCall();
  explicit operator bool() const { return entered_; }
  TorchCall(const TorchCall&) = delete;
  TorchCall& operator=(const TorchCall&) = delete;

 private:
  bool entered_;
};

/// Owners of the module's objects. What is still alive when the process exits is left to the system.
struct TorchRelease {
  void operator()(tr0n_torch_model* model) const noexcept;
  void operator()(tr0n_torch_tape* tape) const noexcept;
};
using TorchModelHandle = std::unique_ptr<tr0n_torch_model, TorchRelease>;
using TorchTapeHandle = std::unique_ptr<tr0n_torch_tape, TorchRelease>;

}  // namespace tr0n
