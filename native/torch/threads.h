#pragma once

namespace tr0n::torchscript {

/// Bounds what libtorch does on the calling thread to `threads` threads. OpenMP's and MKL's setting belongs
/// to the thread, so that calls with different bounds can run side by side. OpenBLAS has one setting for the
/// process, which others would change under a running product: it computes on the calling thread alone.
void bound_threads(int threads);

/// Once, when the module is opened.
void prepare_threads();

}  // namespace tr0n::torchscript
