#include "addon/prior_arguments.h"

#include <algorithm>

#include "addon/config_fields.h"
#include "addon/errors.h"
#include "addon/results.h"
#include "core/prior/draw.h"
#include "core/prior/fields.h"

namespace tr0n::addon {

PriorValues read_prior(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  const Prior prior = read_config<Prior, PriorFields>(fields);
  std::vector<PriorElement> elements;
  if (prior.kind == Prior::Kind::elements) {
    InputReader reader;
    const auto values = reader.read<float>(fields.get("elements"), fields.path("elements"),
                                           product({4, prior.dim}, fields.path("dim")));
    for (const float* v = values.data; v != values.data + values.size; v += 4)
      elements.push_back({v[0], v[1], v[2], v[3]});
  }
  PriorValues read(prior, std::move(elements));
  read.view().check();
  return read;
}

Napi::Value draw_prior_job(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const PriorValues values = read_prior(info[0], "prior");
    const size_t dim = values.view().dim;
    const uint64_t seed = read_seed(info[1], "seed");
    const auto stream = static_cast<uint32_t>(read_size(info[2], "stream", 0));
    const auto first = static_cast<uint32_t>(read_size(info[3], "first", 0));
    const size_t n = read_size(info[4], "n", 1, kMostRows - first);
    const Purpose purpose =
        !absent(info[5]) && read_boolean(info[5], "pairs") ? Purpose::pair : Purpose::prior;
    const size_t count = product({n, dim}, "n");
    require_memory(count * sizeof(float), "the result");
    const auto work = [=](Job& job) -> MakeValue {
      const Prior prior = values.view();
      auto z = std::make_shared<HostBlock>(count * sizeof(float));
      // In slices, between which the job can be cancelled; a draw does not know in which slice it is.
      const size_t slice = std::max<size_t>(1, (size_t{1} << 20) / prior.dim);
      for (size_t begin = 0; begin < n; begin += slice) {
        job.token().throw_if_cancelled();
        draw_prior(prior, seed, stream, first + static_cast<uint32_t>(begin), std::min(slice, n - begin),
                   purpose, z->floats() + begin * prior.dim);
      }
      return [z, count](Napi::Env env) { return to_array(env, std::move(*z), count); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

Napi::Value prior_entropy(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), read_prior(info[0], "prior").view().entropy());
  });
}

}  // namespace tr0n::addon
