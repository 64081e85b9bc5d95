/// Runs the tests of this folder: all of them, or those whose names contain an argument.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/check.h"

namespace {
std::atomic<size_t> allocation_count{0};
}

void* operator new(size_t bytes) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  const size_t align = static_cast<size_t>(alignment);
  if (void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  const size_t align = static_cast<size_t>(alignment);
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return bytes > SIZE_MAX / 2 ? nullptr : std::aligned_alloc(align, (bytes + align - 1) / align * align);
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace tr0n::test {

int failures = 0;

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

size_t allocations() { return allocation_count.load(); }

}  // namespace tr0n::test

int main(int argc, char** argv) {
  using namespace tr0n::test;
  size_t ran = 0;
  for (const Case& test : cases()) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted |= std::strstr(test.name, argv[i]) != nullptr;
    if (!wanted) continue;
    const int before = failures;
    const auto start = std::chrono::steady_clock::now();
    try {
      test.run();
    } catch (const std::exception& error) {
      fail(test.name, 0, std::string("unexpected: ") + error.what());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%s %s (%.2f s)\n", failures == before ? "ok  " : "FAIL", test.name, seconds);
    std::fflush(stdout);
    ++ran;
  }
  std::printf("%zu tests, %d failures\n", ran, failures);
  return failures == 0 ? 0 : 1;
}
