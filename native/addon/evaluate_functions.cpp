#include "addon/evaluate_functions.h"

#include "addon/row_arguments.h"
#include "core/evaluate/classes.h"
#include "core/evaluate/frechet.h"

namespace tr0n::addon {
namespace {

/// Rows [n, d] of either kind: one of the two is there.
struct FeatureInput {
  ArrayInput<float> floats;
  ArrayInput<double> doubles;

  FeatureInput(InputReader& reader, const Napi::Value& value, size_t count) {
    const Napi::Value array = value.IsObject() && value.As<Napi::Object>().Has("owned")
                                  ? value.As<Napi::Object>().Get("owned")
                                  : value;
    if (array.IsTypedArray() && array.As<Napi::TypedArray>().TypedArrayType() == napi_float64_array)
      doubles = reader.read<double>(value, "rows", count);
    else
      floats = reader.read<float>(value, "rows", count);
  }
  template <class Body>
  auto visit(Body body) const {
    return doubles.data != nullptr ? body(doubles.data) : body(floats.data);
  }
};

Napi::Value statistics(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n", 2), d = read_size(info[2], "d");
    InputReader reader;
    const FeatureInput rows(reader, info[0], product({n, d}, "n"));
    require_memory(product({n, d, sizeof(double)}, "n"), "the statistics of features");
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const auto mean = std::make_shared<std::vector<double>>(d);
      const auto centred = std::make_shared<HostBlock>(n * d * sizeof(double));
      double trace = 0;
      const size_t bad = rows.visit([&](const auto* data) {
        return feature_statistics(data, n, d, mean->data(), static_cast<double*>(centred->data()), trace,
                                  job.token());
      });
      if (bad < d)
        throw Error("ERR_INVALID_ARGUMENT",
                    "rows: expected finite numbers, got others in feature " + std::to_string(bad));
      return [=](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("n", static_cast<double>(n));
        result.Set("d", static_cast<double>(d));
        result.Set("mean", to_array(env, std::move(*mean)));
        result.Set("centred", to_array(env, std::move(*centred), n * d, napi_float64_array));
        result.Set("trace", trace);
        return result;
      };
    });
  });
}

FeatureStatistics read_statistics(InputReader& reader, const Napi::Value& value, const std::string& name,
                                  std::vector<ArrayInput<double>>& arrays) {
  const Fields fields(value, name);
  FeatureStatistics set{};
  set.n = fields.size("n", 2);
  set.d = fields.size("d");
  arrays.push_back(reader.read<double>(fields.get("mean"), fields.path("mean"), set.d));
  set.mean = arrays.back().data;
  arrays.push_back(
      reader.read<double>(fields.get("centred"), fields.path("centred"), product({set.n, set.d}, name)));
  set.centred = arrays.back().data;
  set.trace = read_number(fields.get("trace"), fields.path("trace"));
  return set;
}

Napi::Value distance(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    std::vector<ArrayInput<double>> arrays;
    const FeatureStatistics a = read_statistics(reader, info[0], "a", arrays),
                            b = read_statistics(reader, info[1], "b", arrays);
    if (a.d != b.d)
      throw Error("ERR_SHAPE_MISMATCH", "features: expected the same number in both sets, got " +
                                            std::to_string(a.d) + " and " + std::to_string(b.d));
    ArrayInput<double> root;
    if (!absent(info[2])) root = reader.read<double>(info[2], "root", product({b.d, b.d}, "root"));
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const auto known = std::make_shared<std::vector<double>>(root.data, root.data + root.size);
      const double result = frechet_distance(a, b, *known, job.token());
      const bool fresh = root.size == 0 && !known->empty();
      return [=](Napi::Env env) -> Napi::Value {
        Napi::Object object = Napi::Object::New(env);
        object.Set("distance", result);
        object.Set("root", fresh ? to_array(env, std::move(*known)) : env.Null());
        return object;
      };
    });
  });
}

Napi::Value pairwise(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n", 2), d = read_size(info[2], "d");
    InputReader reader;
    const FeatureInput rows(reader, info[0], product({n, d}, "n"));
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      return number_value(
          rows.visit([&](const auto* data) { return mean_pairwise_distance(data, n, d, job.token()); }));
    });
  });
}

Napi::Value classes_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n"), classes = read_size(info[2], "classes");
    const Scores kind =
        read_text(info[3], "kind") == "probabilities" ? Scores::probabilities : Scores::logits;
    const uint64_t seed = read_seed(info[4], "seed");
    const size_t first = read_size(info[5], "first", 0, size_t{1} << 53);
    InputReader reader;
    const auto scores = reader.read<float>(info[0], "scores", product({n, classes}, "n"));
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const auto drawn = std::make_shared<std::vector<uint32_t>>(n),
                 likeliest = std::make_shared<std::vector<uint32_t>>(n);
      draw_classes(scores.data, n, classes, kind, seed, first, drawn->data(), likeliest->data(), job.token());
      return [=](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("drawn", to_array(env, std::move(*drawn)));
        result.Set("likeliest", to_array(env, std::move(*likeliest)));
        return result;
      };
    });
  });
}

}  // namespace

void define_evaluate_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("featureStatistics", Napi::Function::New<statistics>(env, "featureStatistics"));
  exports.Set("frechetDistance", Napi::Function::New<distance>(env, "frechetDistance"));
  exports.Set("meanPairwiseDistance", Napi::Function::New<pairwise>(env, "meanPairwiseDistance"));
  exports.Set("drawClasses", Napi::Function::New<classes_of>(env, "drawClasses"));
}

}  // namespace tr0n::addon
