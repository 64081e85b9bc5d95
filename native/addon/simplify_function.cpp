#include "addon/simplify_function.h"

#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/model_source.h"
#include "addon/results.h"
#include "bridge/simplify.h"

namespace tr0n::addon {

Napi::Value simplify_job(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const ModelSource source = ModelSource::read(info, reader);
    const auto work = [source](Job& job) -> MakeValue {
      SessionConfig config = source.config;
      config.cancel = &job.token();
      const auto bytes = std::make_shared<HostBlock>(
          source.path.empty() ? simplify_bytes(source.bytes.data, source.bytes.size, config)
                              : simplify_file(source.path, config));
      return [bytes](Napi::Env env) -> Napi::Value {
        return to_array(env, bytes, bytes->data(), bytes->bytes(), napi_uint8_array);
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
