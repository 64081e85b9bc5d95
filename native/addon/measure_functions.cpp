#include "addon/measure_functions.h"

#include <functional>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/results.h"
#include "device/measure.h"

namespace tr0n::addon {
namespace {

using Measurement = std::function<std::vector<double>(CancelToken&)>;

Napi::Value start(const Napi::CallbackInfo& info, const Measurement& measurement) {
  const auto work = [measurement](Job& job) -> MakeValue {
    const auto rates = std::make_shared<std::vector<double>>(measurement(job.token()));
    return [rates](Napi::Env env) -> Napi::Value { return to_array(env, *rates); };
  };
  return Environment::of(info.Env()).start(InputReader().finish(), Napi::Value(), work);
}

Napi::Value instruction_set(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return Napi::String::New(info.Env(), instructions()); });
}

Napi::Value arithmetic(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t runs = read_size(info[0], "runs", 1, 1000);
    return start(info, [runs](CancelToken& cancel) { return measure_arithmetic(runs, cancel); });
  });
}

Napi::Value copy(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t bytes = read_size(info[0], "bytes"), runs = read_size(info[1], "runs", 1, 1000);
    require_memory(product({2, bytes}, "bytes"), "the copy");
    return start(info, [bytes, runs](CancelToken& cancel) { return measure_copy(bytes, runs, cancel); });
  });
}

Napi::Value matrix_product(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    constexpr size_t most = 1 << 20;
    const size_t m = read_size(info[0], "m", 1, most), n = read_size(info[1], "n", 1, most),
                 k = read_size(info[2], "k", 1, most), runs = read_size(info[3], "runs", 1, 1000);
    require_memory(sizeof(float) * (m * k + n * k + m * n), "the matrices");
    return start(info, [=](CancelToken& cancel) { return measure_product(m, n, k, runs, cancel); });
  });
}

}  // namespace

void define_measure_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("instructions", Napi::Function::New<instruction_set>(env, "instructions"));
  exports.Set("measureArithmetic", Napi::Function::New<arithmetic>(env, "measureArithmetic"));
  exports.Set("measureCopy", Napi::Function::New<copy>(env, "measureCopy"));
  exports.Set("measureProduct", Napi::Function::New<matrix_product>(env, "measureProduct"));
}

}  // namespace tr0n::addon
