#include "addon/simplify_function.h"

#include "addon/arguments.h"
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
    std::string into;
    if (!absent(info[1])) Fields(info[1], "options").optional("into", into);
    if (!into.empty() && !source.path.empty()) throw_invalid("options.into", "bytes to simplify", "a path");
    const auto work = [source, into](Job& job) -> MakeValue {
      SessionConfig config = source.config;
      config.cancel = &job.token();
      if (!into.empty()) {
        simplify_into(into, source.bytes.data, source.bytes.size, config);
        return [](Napi::Env env) -> Napi::Value { return env.Null(); };
      }
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
