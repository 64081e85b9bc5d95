#include "addon/prior_arguments.h"

#include <algorithm>

#include "addon/errors.h"
#include "addon/results.h"
#include "core/sampler.h"

namespace tr0n::addon {

Prior read_prior(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  Prior prior;
  prior.kind = fields.choice<Prior::Kind>("kind", {{"normal", Prior::Kind::normal},
                                                   {"truncatedNormal", Prior::Kind::truncated_normal},
                                                   {"uniform", Prior::Kind::uniform}});
  prior.dim = fields.size("dim", 1, size_t{1} << 26);
  fields.optional("std", prior.std);
  fields.optional("bound", prior.bound);
  fields.optional("low", prior.low);
  fields.optional("high", prior.high);
  prior.check();
  return prior;
}

Napi::Value draw_prior_job(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Prior prior = read_prior(info[0], "prior");
    const uint64_t seed = read_seed(info[1], "seed");
    const auto stream = static_cast<uint32_t>(read_size(info[2], "stream", 0));
    const auto first = static_cast<uint32_t>(read_size(info[3], "first", 0));
    const size_t n = read_size(info[4], "n", 1, kMostRows - first);
    const size_t count = product({n, prior.dim}, "n");
    require_memory(count * sizeof(float), "the result");
    const auto work = [=](Job& job) -> MakeValue {
      auto z = std::make_shared<HostBlock>(count * sizeof(float));
      // In slices, between which the job can be cancelled; a draw does not know in which slice it is.
      const size_t slice = std::max<size_t>(1, (size_t{1} << 20) / prior.dim);
      for (size_t begin = 0; begin < n; begin += slice) {
        job.token().throw_if_cancelled();
        draw_prior(prior, seed, stream, first + static_cast<uint32_t>(begin), std::min(slice, n - begin),
                   Purpose::prior, z->floats() + begin * prior.dim);
      }
      return [z, count](Napi::Env env) { return to_array(env, std::move(*z), count); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

Napi::Value prior_entropy(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), read_prior(info[0], "prior").entropy());
  });
}

}  // namespace tr0n::addon
