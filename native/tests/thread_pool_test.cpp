#include "core/thread_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "core/memory.h"
#include "tests/check.h"

using namespace tr0n;

TEST(pool_calls_every_index_once) {
  ThreadPool& pool = ThreadPool::instance();
  const size_t before = pool.size();
  for (const size_t threads : {1u, 2u, 5u, 3u}) {
    pool.resize(threads);
    for (const size_t n : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<std::atomic<int>> calls(n);
      pool.parallel_for(n, [&](size_t i) { ++calls[i]; });
      for (auto& count : calls) CHECK(count == 1);
    }
  }
  pool.resize(before);
}

TEST(pool_concurrent_and_nested) {
  ThreadPool& pool = ThreadPool::instance();
  const size_t before = pool.size();
  pool.resize(3);
  std::atomic<size_t> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 500; ++repeat)
        pool.parallel_for(10, [&](size_t) { pool.parallel_for(3, [&](size_t) { ++total; }); });
    });
  callers.emplace_back([&] {
    for (size_t threads : {1u, 4u, 2u, 5u, 1u, 3u}) {
      pool.resize(threads);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4u * 500 * 30);
  pool.resize(before);
}

TEST(pool_rethrows_and_goes_on) {
  ThreadPool& pool = ThreadPool::instance();
  for (int repeat = 0; repeat < 50; ++repeat) {
    CHECK_CODE("ERR_X", pool.parallel_for(100, [](size_t i) {
      if (i == 17) throw Error("ERR_X", "seventeen");
    }));
  }
  std::atomic<int> calls{0};
  pool.parallel_for(5, [&](size_t) { ++calls; });
  CHECK(calls == 5);
}

TEST(pool_works_in_a_forked_child) {
  ThreadPool::instance().parallel_for(100, [](size_t) {});
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> calls{0};
    ThreadPool::instance().parallel_for(100, [&](size_t) { ++calls; });
    _exit(calls == 100 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(machine_limits) {
  CHECK(available_memory() > (uint64_t{1} << 20));
  CHECK(available_cpus() >= 1 && available_cpus() <= std::thread::hardware_concurrency());
}
