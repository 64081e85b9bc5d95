#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

#include "base/background.h"

namespace tr0n {
namespace {

constexpr auto kSpin = std::chrono::microseconds(30);  // about what waking a sleeping thread costs

thread_local bool inside_loop = false;

/// Set in a forked child, where the pool's threads do not exist and its mutex may be held by one of them.
std::atomic<bool> forked{false};

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Spins for a short time; true when the condition came true.
template <class Condition>
bool spin(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

/// Worker threads run this library's code for as long as the process lives: it must never be unmapped (Node
/// unloads an addon when a worker's environment ends).
void pin_library() {
#if (defined(__unix__) || defined(__APPLE__)) && defined(RTLD_NOLOAD) && defined(RTLD_NODELETE)
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&pin_library), &info) != 0 && info.dli_fname != nullptr)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

/// One parallel_for, on its caller's stack.
struct Loop {
  const std::function<void(size_t)>& body;
  const size_t n;
  std::atomic<size_t> next{0};
  std::atomic<size_t> workers{0};  ///< pool threads inside; changed under the pool's mutex
  std::mutex error_mutex;
  std::exception_ptr error;

  Loop(const std::function<void(size_t)>& loop_body, size_t count) : body(loop_body), n(count) {}

  void work() noexcept {
    inside_loop = true;
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) {
      try {
        body(i);
      } catch (...) {
        std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(n, std::memory_order_relaxed);  // no further calls start
      }
    }
    inside_loop = false;
  }
};

}  // namespace

/// The caller never needs a worker: where there are none (a forked child, no thread to be had) it does all
/// calls.
struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake;   ///< a loop was added, or there are too many workers
  std::condition_variable ended;  ///< a worker left a loop, or a loop was removed
  std::list<Loop*> loops;
  std::atomic<size_t> waiting_loops{0};  ///< what spinning workers watch
  size_t threads = 1;                    ///< the caller's included
  std::atomic<size_t> size{1};           ///< a copy of `threads` to be read without the lock
  size_t alive = 0;
  size_t sleeping = 0;

  /// Under the lock: a loop that still has calls to hand out.
  Loop* open_loop() {
    for (Loop* loop : loops)
      if (loop->next.load(std::memory_order_relaxed) < loop->n) return loop;
    return nullptr;
  }

  void worker() {
    yield_to_interactive_threads();
    std::unique_lock<std::mutex> lock(mutex);
    while (alive + 1 <= threads) {
      if (Loop* loop = open_loop()) {
        loop->workers.fetch_add(1, std::memory_order_relaxed);
        lock.unlock();
        loop->work();
        lock.lock();
        if (loop->workers.fetch_sub(1, std::memory_order_release) == 1) ended.notify_all();
        continue;
      }
      const size_t seen = waiting_loops.load(std::memory_order_relaxed);
      lock.unlock();
      spin([&] { return waiting_loops.load(std::memory_order_relaxed) != seen; });
      lock.lock();
      if (waiting_loops.load(std::memory_order_relaxed) != seen || open_loop() != nullptr) continue;
      ++sleeping;
      wake.wait(lock);
      --sleeping;
    }
    --alive;
    ended.notify_all();
  }

  /// Under the lock: brings the number of workers up to threads - 1.
  void start_workers() {
    while (alive + 1 < threads) {
      try {
        std::thread([this] { worker(); }).detach();
      } catch (const std::system_error&) {
        return;  // fewer threads, same results
      }
      ++alive;
    }
  }

  void run(Loop& loop) {
    std::list<Loop*>::iterator place;
    {
      std::lock_guard<std::mutex> lock(mutex);
      start_workers();
      place = spare.empty() ? loops.insert(loops.end(), &loop) : reuse(loop);
      waiting_loops.fetch_add(1, std::memory_order_relaxed);
      if (sleeping > 0) loop.n > 2 ? wake.notify_all() : wake.notify_one();
    }
    loop.work();
    spin([&] { return loop.workers.load(std::memory_order_acquire) == 0; });
    std::unique_lock<std::mutex> lock(mutex);
    spare.splice(spare.end(), loops, place);  // no worker enters any more
    ended.wait(lock, [&] { return loop.workers.load(std::memory_order_acquire) == 0; });
    ended.notify_all();
  }

 private:
  std::list<Loop*> spare;  ///< list nodes of ended loops, so that a loop does not allocate

  std::list<Loop*>::iterator reuse(Loop& loop) {
    loops.splice(loops.end(), spare, spare.begin());
    loops.back() = &loop;
    return std::prev(loops.end());
  }
};

// The state is never freed: a detached worker may be inside it when the process ends.
ThreadPool::ThreadPool() : state_(new State) {
  state_->threads = available_cpus();
  state_->size = state_->threads;
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });
#endif
  pin_library();
}

ThreadPool& ThreadPool::instance() {
  static ThreadPool* pool = new ThreadPool;
  if (forked.load(std::memory_order_relaxed) && forked.exchange(false)) {
    const size_t threads = pool->state_->size;
    pool->state_ = new State;
    pool->state_->threads = threads;
    pool->state_->size = threads;
  }
  return *pool;
}

size_t ThreadPool::size() const { return state_->size; }

void ThreadPool::resize(size_t threads) {
  State& state = *state_;
  std::unique_lock<std::mutex> lock(state.mutex);
  if (!inside_loop) state.ended.wait(lock, [&] { return state.loops.empty(); });
  state.threads = std::max<size_t>(1, threads);
  state.size = state.threads;
  state.wake.notify_all();  // those that are too many leave
}

void ThreadPool::parallel_for(size_t n, const std::function<void(size_t)>& body) {
  if (n == 0) return;
  if (n == 1 || inside_loop || state_->size == 1) {
    for (size_t i = 0; i < n; ++i) body(i);
    return;
  }
  Loop loop(body, n);
  state_->run(loop);
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace tr0n
