/// The smallest kernel: shows that loading, launching and copying work before anything else is judged.
#include "cuda/device.h"
#include "selftest/test.h"

namespace tr0n::selftest {

SELFTEST(probe) {
  for (const size_t n : {size_t{1}, size_t{31}, size_t{33}, size_t{100'000}, size_t{20'000'000}}) {
    if (test.quick && n > 100'000) continue;
    const std::vector<float> in = normals(n, 1);
    std::vector<double> expected(n);
    for (size_t i = 0; i < n; ++i) {
      const size_t partner = i ^ 1;
      expected[i] = 3 * static_cast<double>(in[i]) + (partner < n ? static_cast<double>(in[partner]) : 0);
    }
    const cuda::Queue& queue = static_cast<cuda::CudaDevice&>(test.device).queue();
    const Array<float> from(test.device, in);
    Array<float> to(test.device, n);
    const auto call = [&] {
      queue.launch({"tr0n_probe", {static_cast<unsigned>((n + 127) / 128)}, {128}}, to.data(), from.data(),
                   3.0f, static_cast<unsigned>(n));
    };
    call();
    test.row("n " + std::to_string(n))
        .close("out", to.values(), expected, 1e-6)
        .timed({8 * static_cast<double>(n), 2 * static_cast<double>(n)}, call);
  }
}

}  // namespace tr0n::selftest
