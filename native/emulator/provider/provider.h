#pragma once
#include <cstdint>

/// What the test double of an execution provider exports beside CreateEpFactories and ReleaseEpFactory.
extern "C" {

/// Makes a mistake on purpose, or no more, by its name:
/// "own-stream": runs in a stream of the provider's own, whatever the user's is, and without an event;
/// "stray-copies": copies between host and device go into a stream of their own;
/// "late-outputs": outputs are written in another stream than the one that the run is in.
/// Returns 0, or 1 for a name that there is not.
__attribute__((visibility("default"))) int tr0n_test_provider_plant(const char* name, int on);

/// JSON: { "parts": graphs that were compiled, "nodes": in them, "left": [nodes that were left to others,
/// with the reason], "runs": of parts, "deferred": of those that the caller did not wait for, "failure": the
/// last text }.
__attribute__((visibility("default"))) const char* tr0n_test_provider_statistics();
}
