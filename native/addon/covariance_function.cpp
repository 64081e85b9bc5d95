#include "addon/covariance_function.h"

#include "addon/native_object.h"
#include "addon/results.h"
#include "core/math/covariance.h"

namespace tr0n::addon {

Napi::Value covariance_job(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n", 2), m = read_size(info[2], "m", 1, size_t{1} << 20);
    const double scale = absent(info[3]) ? 1 : read_number(info[3], "scale");
    InputReader reader;
    const auto rows = reader.read<float>(info[0], "rows", product({n, m}, "rows"));
    require_memory(product({m, m, 2 * sizeof(double)}, "m"), "the covariance");
    const auto work = [rows, n, m, scale](Job& job) -> MakeValue {
      auto result = std::make_shared<std::vector<float>>(covariance(rows.data, n, m, job.token()));
      for (float& x : *result) x = static_cast<float>(scale * static_cast<double>(x));
      return [result](Napi::Env env) { return to_array(env, std::move(*result)); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
