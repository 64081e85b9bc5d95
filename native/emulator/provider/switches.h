#pragma once
#include <atomic>
#include <string>

namespace tr0n::provider {

/// Mistakes that tests plant (provider.h).
struct Planted {
  std::atomic<bool> own_stream{false}, stray_copies{false}, late_outputs{false};
};
Planted& planted();

/// What tr0n_test_provider_statistics tells. For several threads.
void count_part(size_t nodes);
void count_left(const std::string& node);
void count_run(bool deferred);
void note_failure(const std::string& text);

/// Whether TR0N_TEST_PROVIDER_REFUSES, operators with commas between, names one: as a real provider lacks
/// some.
bool refused(const std::string& operator_type);

}  // namespace tr0n::provider
