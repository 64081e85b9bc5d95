#include "base/closing.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace tr0n {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

struct Closing {
  std::mutex mutex;
  std::condition_variable change;
  int count = 0;
};
Closing& closing() {
  static auto* state = new Closing;  // never destroyed: threads may outlive main()
  return *state;
}

}  // namespace

void close_apart(std::function<void()> close) {
  Closing& state = closing();
  {
    const std::lock_guard lock(state.mutex);
    ++state.count;
  }
  auto let_go = [&state, close = std::move(close)]() mutable {
    close();
    close = nullptr;  // with what it holds
    const std::lock_guard lock(state.mutex);
    --state.count;
    state.change.notify_all();
  };
  try {
    std::thread(let_go).detach();
  } catch (const std::exception&) {
    let_go();  // no thread to be had
  }
}

void wait_for_closing() {
  Closing& state = closing();
  std::unique_lock lock(state.mutex);
  state.change.wait_for(lock, kPatience, [&] { return state.count == 0; });
}

}  // namespace tr0n
