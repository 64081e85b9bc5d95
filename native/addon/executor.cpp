#include "addon/executor.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>

#include "base/background.h"
#include "base/closing.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "bridge/process_exit.h"

namespace tr0n::addon {
namespace {

constexpr auto kIdleTime = std::chrono::seconds(2);
/// ONNX Runtime's model checks recurse; musl's and macOS's default stacks of secondary threads are small.
constexpr size_t kStackBytes = size_t{8} << 20;
constexpr auto kExitPatience = std::chrono::seconds(10);

}  // namespace

struct Executor::State {
  std::mutex mutex;
  std::condition_variable work, change;
  std::deque<std::shared_ptr<Job>> queue;
  std::set<std::shared_ptr<Job>> running;
  size_t runners = 0, idle = 0;
  bool closed = false;
};

Executor& Executor::instance() {
  // Never destroyed: runners may outlive main().
  static auto* executor = new Executor;
  return *executor;
}

Executor::Executor() : state_(new State) {
  set_process_exit_hook([] {
    Executor::instance().shut_down();
    wait_for_closing();
  });
}

/// Enough that short jobs pass long ones, few enough that a burst of jobs does not become a burst of threads.
size_t Executor::limit() { return std::max<size_t>(4, available_cpus()); }

void Executor::submit(std::shared_ptr<Job> job) {
  std::unique_lock<std::mutex> lock(state_->mutex);
  if (state_->closed) throw Error("ERR_ABORTED", "the process is exiting");
  state_->queue.push_back(std::move(job));
  if (state_->idle >= state_->queue.size()) {
    state_->work.notify_one();
    return;
  }
  if (state_->runners >= limit()) return;  // somebody will come round to it
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int failed = pthread_create(&thread, &attributes, &Executor::runner, state_);
  pthread_attr_destroy(&attributes);
  if (failed == 0) {
    ++state_->runners;
  } else if (state_->runners == 0) {
    state_->queue.pop_back();
    throw Error("ERR_OUT_OF_MEMORY", "no thread can be started to run the job");
  }
}

void* Executor::runner(void* pointer) {
  State& state = *static_cast<State*>(pointer);
  yield_to_interactive_threads();
  std::unique_lock<std::mutex> lock(state.mutex);
  for (;;) {
    ++state.idle;
    state.work.wait_for(lock, kIdleTime, [&] { return state.closed || !state.queue.empty(); });
    --state.idle;
    if (state.queue.empty() || state.closed) break;
    std::shared_ptr<Job> job = std::move(state.queue.front());
    state.queue.pop_front();
    state.running.insert(job);
    lock.unlock();
    job->execute();
    lock.lock();
    state.running.erase(job);
    state.change.notify_all();
    lock.unlock();
    job.reset();
    lock.lock();
  }
  --state.runners;
  state.change.notify_all();
  return nullptr;
}

void Executor::shut_down() {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->closed = true;
  state_->work.notify_all();
  for (const auto& job : state_->running) job->cancel();
  state_->change.wait_for(lock, kExitPatience, [&] { return state_->running.empty(); });
}

}  // namespace tr0n::addon
