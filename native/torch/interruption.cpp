#include "torch/interruption.h"

#include <c10/util/Exception.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/jit/runtime/custom_operator.h>
#include <torch/csrc/jit/runtime/print_handler.h>

#include <torch/version.h>

#include <atomic>
#include <mutex>

namespace tr0n::torchscript {
namespace {

/// libtorch hands this on to threads that a model forks, and to those of its autograd.
constexpr auto kSlot = c10::DebugInfoKind::TEST_INFO_2;

/// What models warn of is not for the terminal of whoever serves them.
class Silence : public c10::WarningHandler {
 public:
#if TORCH_VERSION_MAJOR >= 2
  void process(const c10::Warning&) override {}
#else
  void process(const c10::SourceLocation&, const std::string&, bool) override {}
#endif
};

/// Of this thread.
void silence_warnings() {
  static auto* silence = new Silence;
#if TORCH_VERSION_MAJOR >= 2
  c10::WarningUtils::set_warning_handler(silence);
#else
  c10::Warning::set_warning_handler(silence);
#endif
}

}  // namespace

const char* const kCheckOperator = "tr0n::check";

class Interruptible::State : public c10::DebugInfoBase {
 public:
  explicit State(const tr0n_torch_cancel* cancel) : cancel_(cancel) {}
  /// Forks that nobody waits for outlive the run: they end, too, and must not ask its caller.
  void end() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_.store(true);
  }
  bool cancelled() {
    if (ended_.load(std::memory_order_relaxed)) return true;
    if (!cancel_) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    return ended_.load() || cancel_->cancelled(cancel_->context) != 0;
  }

 private:
  const tr0n_torch_cancel* cancel_;
  std::atomic<bool> ended_{false};
  std::mutex mutex_;  ///< of calls to the caller; it is this thread's alone unless the model forks
};

class Interruptible::Guards {
 public:
  explicit Guards(const std::shared_ptr<State>& state) : slot_(kSlot, state) {}

 private:
  c10::DebugInfoGuard slot_;
};

Interruptible::Interruptible(const tr0n_torch_cancel* cancel)
    : state_(std::make_shared<State>(cancel)), guards_(std::make_unique<Guards>(state_)) {
  silence_warnings();
}

Interruptible::~Interruptible() { state_->end(); }

bool Interruptible::cancelled() const { return state_->cancelled(); }

void throw_if_interrupted() {
  // Nobody else uses this slot of a libtorch that is ours alone.
  auto* state = dynamic_cast<Interruptible::State*>(c10::ThreadLocalDebugInfo::get(kSlot));
  if (state && state->cancelled()) throw std::runtime_error("the job was aborted");
}

void prepare_interruption() {
  static const torch::jit::RegisterOperators check({torch::jit::Operator(
      std::string(kCheckOperator) + "() -> ()", [](torch::jit::Stack&) { throw_if_interrupted(); },
      c10::AliasAnalysisKind::CONSERVATIVE)});
  torch::jit::setPrintHandler([](const std::string&) {});
}

}  // namespace tr0n::torchscript
