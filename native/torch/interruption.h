#pragma once
#include <torch/script.h>

#include <memory>

#include "torch/errors.h"
#include "torch/torch_api.h"

namespace tr0n::torchscript {

/// While one lives, work of this thread (and of what the model forks from it) ends by an exception soon after
/// the caller turned away: at the next iteration of a loop, call of a function, or allocation of a tensor.
/// Nothing in TorchScript catches exceptions.
class Interruptible {
 public:
  class State;
  /// `cancel` may be null.
  explicit Interruptible(const tr0n_torch_cancel* cancel);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  bool cancelled() const;
  /// Runs `body`; what it throws after the caller turned away is ERR_ABORTED.
  template <class Body>
  void run(Body body) const {
    try {
      body();
    } catch (...) {
      if (cancelled()) throw Failure("ERR_ABORTED", "the job was aborted");
      throw;
    }
  }

 private:
  class Guards;
  std::shared_ptr<State> state_;
  std::unique_ptr<Guards> guards_;
};

/// Throws where the caller of the work that this thread does has turned away.
void throw_if_interrupted();

/// The operator that looks, as code calls it.
extern const char* const kCheckOperator;

/// Registers it, and keeps what models print and warn of from the process's output. Once, before anything is
/// compiled.
void prepare_interruption();

}  // namespace tr0n::torchscript
