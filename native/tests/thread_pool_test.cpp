#include "base/thread_pool.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/cgroup.h"
#include "base/memory.h"
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

TEST(pool_honours_the_affinity_mask) {
#ifdef __linux__
  const pid_t child = fork();
  if (child == 0) {
    cpu_set_t mask;
    sched_getaffinity(0, sizeof mask, &mask);
    int first = 0;
    while (!CPU_ISSET(first, &mask)) ++first;
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    sched_setaffinity(0, sizeof mask, &mask);
    _exit(available_cpus() == 1 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
}

TEST(pool_honours_cgroup_quotas) {
#ifdef __linux__
  char root[] = "/tmp/tr0n-quota-XXXXXX";
  CHECK(mkdtemp(root) != nullptr);
  const auto folder = [&](const char* name, const std::vector<std::pair<const char*, const char*>>& files) {
    const std::string path = std::string(root) + "/" + name;
    mkdir(path.c_str(), 0700);
    for (const auto& [file, text] : files) std::ofstream(path + "/" + file) << text << "\n";
    return path;
  };
  const std::string none = folder("none", {{"cpu.max", "max 100000"}}),
                    v2 = folder("v2", {{"cpu.max", "150000 100000"}}),
                    v1 = folder("v1", {{"cpu.cfs_quota_us", "50000"}, {"cpu.cfs_period_us", "200000"}}),
                    v1_none = folder("v1none", {{"cpu.cfs_quota_us", "-1"}, {"cpu.cfs_period_us", "100000"}}),
                    missing = std::string(root) + "/missing";
  CHECK(cpu_quota({}) == 0);
  CHECK(cpu_quota({none, v1_none, missing}) == 0);
  CHECK(cpu_quota({none, v2}) == 1.5);
  CHECK(cpu_quota({v2, v1, missing}) == 0.25);
  std::filesystem::remove_all(root);
#endif
}

TEST(machine_limits) {
  CHECK(available_memory() > (uint64_t{1} << 20));
  CHECK(available_cpus() >= 1 && available_cpus() <= std::thread::hardware_concurrency());
}
