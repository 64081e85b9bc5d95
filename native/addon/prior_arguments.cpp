#include "addon/prior_arguments.h"

#include "addon/config_fields.h"
#include "addon/errors.h"
#include "addon/latent_source_arguments.h"
#include "addon/results.h"
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
    InputReader reader;
    const auto source = std::make_shared<const SourceInput>(info[0], "prior", reader);
    const uint64_t seed = read_seed(info[1], "seed");
    const auto stream = static_cast<uint32_t>(read_size(info[2], "stream", 0));
    const auto first = static_cast<uint32_t>(read_size(info[3], "first", 0));
    const size_t n = read_size(info[4], "n", 1, kMostRows - first);
    const Purpose purpose =
        !absent(info[5]) && read_boolean(info[5], "pairs") ? Purpose::pair : Purpose::prior;
    const size_t count = product({n, source->get().size()}, "n");
    require_memory(count * sizeof(float), "the result");
    const auto work = [=](Job& job) -> MakeValue {
      auto z = std::make_shared<HostBlock>(count * sizeof(float));
      source->prepare(job.token());
      source->get().draw(seed, &stream, 1, first, n, purpose, z->floats(), job.token());
      return [z, count](Napi::Env env) { return to_array(env, std::move(*z), count); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value prior_entropy(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), read_prior(info[0], "prior").view().entropy());
  });
}

}  // namespace tr0n::addon
