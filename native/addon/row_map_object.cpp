#include "addon/row_map_object.h"

#include <algorithm>
#include <cmath>

#include "addon/latent_source_arguments.h"
#include "addon/objective_object.h"
#include "addon/results.h"
#include "addon/segment_arguments.h"
#include "addon/session_object.h"
#include "base/thread_pool.h"
#include "bridge/onnx_block.h"
#include "bridge/pipeline_block.h"
#include "core/rows/rows.h"

namespace tr0n::addon {
namespace {

/// The outputs of n rows.
struct Outputs {
  std::vector<HostBlock> blocks;
  std::vector<std::vector<int64_t>> shapes;  ///< [n, …]

  /// The map must be prepared: what fits into memory is known only then.
  Outputs(const ModelRowMap& map, size_t n) {
    size_t bytes = 0;
    for (size_t k = 0; k < map.output_count(); ++k)
      bytes +=
          product({n, map.output_size(k), sizeof(float)}, "the outputs of " + std::to_string(n) + " rows");
    require_memory(bytes, "the outputs of " + std::to_string(n) + " rows");
    for (size_t k = 0; k < map.output_count(); ++k) {
      blocks.emplace_back(n * map.output_size(k) * sizeof(float));
      std::vector<int64_t> shape(1, static_cast<int64_t>(n));
      shape.insert(shape.end(), map.output_shape(k).begin(), map.output_shape(k).end());
      shapes.push_back(std::move(shape));
    }
  }
  /// Where row `first` of every output begins.
  std::vector<float*> at(const ModelRowMap& map, size_t first) const {
    std::vector<float*> pointers;
    for (size_t k = 0; k < blocks.size(); ++k)
      pointers.push_back(blocks[k].floats() + first * map.output_size(k));
    return pointers;
  }
  Napi::Value to_js(Napi::Env env) {
    Napi::Array list = Napi::Array::New(env, blocks.size());
    for (size_t k = 0; k < blocks.size(); ++k) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("data", to_array(env, std::move(blocks[k]), element_count(shapes[k])));
      entry.Set("shape", to_shape(env, shapes[k]));
      list.Set(static_cast<uint32_t>(k), entry);
    }
    return list;
  }
};

std::shared_ptr<const BlockModel> read_session(const Fields& fields, const RowLimits& limits) {
  auto session = SessionObject::session_from(fields.get("session"), fields.path("session"));
  auto shape = read_shape(fields.get("inputShape"), fields.path("inputShape"));
  auto outputs = read_texts(fields.get("outputs"), fields.path("outputs"));
  if (outputs.empty()) throw_invalid(fields.path("outputs"), "at least one name", fields.get("outputs"));
  return std::make_shared<OnnxBlock>(std::move(session),
                                     std::vector<RowInput>{{fields.text("input"), std::move(shape), 0}},
                                     std::move(outputs), limits.fixed_batch);
}

/// Throws ERR_DIVERGED naming the first pair whose condition is not finite; `first` is the number of the
/// first row.
void require_finite(const float* rows, size_t n, size_t width, size_t first, CancelToken& cancel) {
  const size_t bad = first_not_finite(rows, n * width, cancel);
  if (bad == n * width) return;
  const std::string value = std::isnan(rows[bad]) ? "NaN" : rows[bad] > 0 ? "Infinity" : "-Infinity";
  throw Error("ERR_DIVERGED",
              "the encoder gave " + value + " for pair " + std::to_string(first + bad / width));
}

}  // namespace

Napi::Function RowMapObject::define(Napi::Env env) {
  return DefineClass(env, "NativeRowMap",
                     {InstanceMethod<&RowMapObject::run>("run", napi_enumerable),
                      InstanceMethod<&RowMapObject::pairs>("pairs", napi_enumerable),
                      InstanceMethod<&RowMapObject::blocks>("blocks", napi_enumerable),
                      InstanceMethod<&RowMapObject::dispose_it>("dispose", napi_enumerable)});
}

Napi::Value RowMapObject::create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "config");
    const RowLimits limits = read_limits(fields);
    auto segments = read_segments(fields.get("segments"), fields.path("segments"));
    std::shared_ptr<const BlockModel> model =
        segments.empty() ? read_session(fields, limits)
                         : std::make_shared<PipelineBlock>(fields.text("name"), std::move(segments));
    return make(info.Env(), std::make_shared<CountedRowMap>(std::move(model), limits), 0);
  });
}

Napi::Value RowMapObject::run(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto counted = live();
    const size_t n = read_size(info[1], "n");
    InputReader reader;
    const auto rows = reader.read<float>(info[0], "rows", product({n, counted->map.input_size()}, "rows"));
    const auto work = [counted, rows, n](Job& job) -> MakeValue {
      ModelRowMap& map = counted->map;
      map.prepare(job.token());
      const auto outputs = std::make_shared<Outputs>(map, n);
      map.run(rows.data, n, outputs->at(map, 0).data(), job.token());
      return [outputs](Napi::Env env) { return outputs->to_js(env); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value RowMapObject::pairs(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto counted = live();
    InputReader reader;
    const auto source = std::make_shared<const SourceInput>(info[0], "prior", reader);
    const size_t d = counted->map.input_size();
    if (source->get().size() != d)
      throw Error("ERR_SHAPE_MISMATCH", "prior.dim: expected " + std::to_string(d) +
                                            ", the elements of the model's input, got " +
                                            std::to_string(source->get().size()));
    const uint64_t seed = read_seed(info[1], "seed");
    const auto first = static_cast<uint32_t>(read_size(info[2], "first", 0));
    const size_t n = read_size(info[3], "n", 1, kMostRows - first);
    const bool finite = !absent(info[5]) && read_boolean(info[5], "finite");
    const size_t count = product({n, d}, "n");
    require_memory(count * sizeof(float), "the latents");
    const auto work = [=](Job& job) -> MakeValue {
      ModelRowMap& map = counted->map;
      source->prepare(job.token());
      map.prepare(job.token());
      const auto outputs = std::make_shared<Outputs>(map, n);
      const auto z = std::make_shared<HostBlock>(count * sizeof(float));
      // In slices of a few blocks a thread, for progress; rows do not know in which slice they are.
      const size_t slice = 4 * map.rule().max_rows * ThreadPool::instance().size();
      for (size_t begin = 0; begin < n; begin += slice) {
        job.token().throw_if_cancelled();
        const size_t rows = std::min(slice, n - begin);
        float* latents = z->floats() + begin * d;
        const uint32_t stream = 0;
        source->get().draw(seed, &stream, 1, first + static_cast<uint32_t>(begin), rows, Purpose::pair,
                           latents, job.token());
        const std::vector<float*> to = outputs->at(map, begin);
        map.run(latents, rows, to.data(), job.token());
        if (finite) require_finite(to[0], rows, map.output_size(0), first + begin, job.token());
        const size_t done = begin + rows;
        job.report([done](Napi::Env env) { return Napi::Number::New(env, static_cast<double>(done)); });
      }
      return [z, outputs, count](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("z", to_array(env, std::move(*z), count));
        result.Set("outputs", outputs->to_js(env));
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), info[4], work);
  });
}

/// The block rule that was found.
Napi::Value RowMapObject::blocks(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [counted = live()](Job& job) -> MakeValue {
      counted->map.prepare(job.token());
      return [rule = counted->map.rule()](Napi::Env env) { return to_rule(env, rule); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
