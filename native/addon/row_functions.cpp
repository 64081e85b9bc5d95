#include "addon/row_functions.h"

#include <numeric>

#include "addon/row_arguments.h"
#include "core/rows/conditions.h"
#include "core/rows/pixels.h"
#include "core/rows/rows.h"

namespace tr0n::addon {
namespace {

/// -1 where all are finite.
double place_of(size_t found, size_t count) { return found < count ? static_cast<double>(found) : -1; }

Napi::Value find_not_finite(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const auto data = read_all<float>(reader, info[0], "data");
    return start_job(info, reader, [data](Job& job) -> MakeValue {
      return number_value(place_of(first_not_finite(data.data, data.size, job.token()), data.size));
    });
  });
}

Napi::Value copy_if_finite(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const auto data = read_all<float>(reader, info[0], "data");
    const auto into = read_all<float>(reader, info[1], "into");
    float* to = writable(into, "into");
    const size_t at = read_size(info[2], "at", 0, into.size);
    if (data.size > into.size - at)
      throw Error("ERR_INVALID_ARGUMENT", "into: expected room for " + std::to_string(data.size) +
                                              " numbers from " + std::to_string(at) + " on, got " +
                                              std::to_string(into.size) + " in all");
    return start_job(info, reader, [data, to, at](Job& job) -> MakeValue {
      return number_value(place_of(copy_finite(data.data, data.size, to + at, job.token()), data.size));
    });
  });
}

Napi::Value column_moments(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n"), d = read_size(info[2], "d");
    const bool running = read_boolean(info[3], "running");
    InputReader reader;
    const auto rows = reader.read<float>(info[0], "rows", product({n, d}, "n"));
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const auto moments =
          std::make_shared<ColumnMoments>(running ? running_moments(rows.data, n, d, job.token())
                                                  : two_pass_moments(rows.data, n, d, job.token()));
      return [moments](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("mean", to_array(env, std::move(moments->mean)));
        result.Set("std", to_array(env, std::move(moments->std)));
        return result;
      };
    });
  });
}

Napi::Value columns_apart(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n"), d = read_size(info[2], "d"),
                 begin = read_size(info[3], "begin", 0, d), size = read_size(info[4], "size", 0, d - begin);
    InputReader reader;
    const auto rows = reader.read<float>(info[0], "rows", product({n, d}, "n"));
    require_memory(rows.size * sizeof(float), "the rows' parts");
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const auto part = std::make_shared<HostBlock>(n * size * sizeof(float)),
                 rest = std::make_shared<HostBlock>(n * (d - size) * sizeof(float));
      split_columns(rows.data, n, d, begin, size, part->floats(), rest->floats(), job.token());
      return [=](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("part", to_array(env, std::move(*part), n * size));
        result.Set("rest", to_array(env, std::move(*rest), n * (d - size)));
        return result;
      };
    });
  });
}

Napi::Value rescaled(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const auto data = read_all<float>(reader, info[0], "data");
    const double low = read_number(info[1], "low"), scale = read_number(info[2], "scale"),
                 base = read_number(info[3], "base");
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      HostBlock out(data.size * sizeof(float));
      rescale(data.data, data.size, low, scale, base, out.floats(), job.token());
      return floats_value(std::move(out));
    });
  });
}

Napi::Value squares(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const auto data = read_all<float>(reader, info[0], "data");
    const double start = read_number(info[1], "start");
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      return number_value(sum_of_squares(data.data, data.size, start, job.token()));
    });
  });
}

Napi::Value to_fault(Napi::Env env, const ConditionFault& fault) {
  using What = ConditionFault::What;
  if (fault.what == What::none) return env.Null();
  const char* what = fault.what == What::not_finite ? "notFinite"
                     : fault.what == What::negative ? "negative"
                     : fault.what == What::sum      ? "sum"
                                                    : "direction";
  Napi::Object result = Napi::Object::New(env);
  result.Set("what", what);
  result.Set("row", static_cast<double>(fault.row));
  result.Set("index", static_cast<double>(fault.index));
  result.Set("value", fault.value);
  return result;
}

Napi::Value conditions(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n"), m = read_size(info[2], "m");
    const std::string kind = read_text(info[3], "kind");
    const auto known = kind == "probabilities" ? ConditionKind::probabilities
                       : kind == "unit"        ? ConditionKind::unit
                                               : ConditionKind::raw;
    InputReader reader;
    const auto rows = reader.read<float>(info[0], "rows", product({n, m}, "n"));
    float* data = writable(rows, "rows");
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const ConditionFault fault = make_conditions(data, n, m, known, job.token());
      return [fault](Napi::Env env) { return to_fault(env, fault); };
    });
  });
}

Napi::Value equal_rows(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t n = read_size(info[1], "n"), m = read_size(info[2], "m");
    InputReader reader;
    const auto rows = reader.read<float>(info[0], "rows", product({n, m}, "n"));
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      return array_value(equal_rows_before(rows.data, n, m, job.token()));
    });
  });
}

SheetLayout read_layout(const Fields& fields) {
  constexpr size_t most = size_t{1} << 28;
  SheetLayout layout{};
  layout.n = fields.size("n", 1, most);
  layout.channels = fields.size("channels", 1, 3);
  layout.height = fields.size("height", 1, most);
  layout.width = fields.size("width", 1, most);
  layout.columns = fields.size("columns", 1, size_t{1} << 53);
  layout.gap = fields.size("gap", 0, most);
  layout.scale = fields.size("scale", 1, most);
  layout.columns = std::min(layout.columns, layout.n);
  layout.sheet_width = layout.columns * (layout.width * layout.scale + layout.gap) + layout.gap;
  layout.sheet_height =
      (layout.n + layout.columns - 1) / layout.columns * (layout.height * layout.scale + layout.gap) +
      layout.gap;
  layout.low = read_number(fields.get("low"), fields.path("low"));
  layout.high = read_number(fields.get("high"), fields.path("high"));
  const Napi::Value colour = fields.get("background");
  if (!colour.IsArray() || colour.As<Napi::Array>().Length() != 3)
    throw_invalid(fields.path("background"), "three numbers", colour);
  for (uint32_t k = 0; k < 3; ++k)
    layout.background[k] =
        static_cast<uint8_t>(read_size(colour.As<Napi::Array>().Get(k), fields.path("background"), 0, 255));
  return layout;
}

struct Sheet {
  SheetLayout layout;
  ArrayInput<float> images;
  size_t bytes;  ///< of the picture
};

/// Arguments (images, layout).
Sheet read_sheet(const Napi::CallbackInfo& info, InputReader& reader) {
  const SheetLayout layout = read_layout(Fields(info[1], "layout"));
  const size_t numbers = product({layout.n, layout.channels, layout.height, layout.width}, "layout");
  auto images = reader.read<float>(info[0], "images", numbers);
  const size_t bytes = product({3, layout.sheet_width, layout.sheet_height}, "layout");
  require_memory(bytes, "the picture");
  return {layout, std::move(images), bytes};
}

Napi::Value sheet(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const Sheet sheet = read_sheet(info, reader);
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      const auto pixels = std::make_shared<HostBlock>(sheet.bytes);
      draw_sheet(sheet.images.data, sheet.layout, static_cast<uint8_t*>(pixels->data()), job.token());
      return [=](Napi::Env env) { return to_array(env, std::move(*pixels), sheet.bytes, napi_uint8_array); };
    });
  });
}

/// The same on the JavaScript thread, for callers who wait for it.
Napi::Value sheet_now(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const Sheet sheet = read_sheet(info, reader);
    HostBlock pixels(sheet.bytes);
    CancelToken token;
    draw_sheet(sheet.images.data, sheet.layout, static_cast<uint8_t*>(pixels.data()), token);
    return to_array(info.Env(), std::move(pixels), sheet.bytes, napi_uint8_array);
  });
}

Napi::Value floats_of_pixels(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const auto pixels = read_all<uint8_t>(reader, info[0], "pixels");
    const double low = read_number(info[1], "low"), high = read_number(info[2], "high");
    const bool luma = read_boolean(info[3], "luma");
    const size_t count = pixels.size / 3;
    return start_job(info, reader, [=](Job& job) -> MakeValue {
      HostBlock out((luma ? 1 : 3) * count * sizeof(float));
      pixels_to_floats(pixels.data, count, low, high, luma, out.floats(), job.token());
      return floats_value(std::move(out));
    });
  });
}

}  // namespace

void define_row_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("firstNotFinite", Napi::Function::New<find_not_finite>(env, "firstNotFinite"));
  exports.Set("copyFinite", Napi::Function::New<copy_if_finite>(env, "copyFinite"));
  exports.Set("columnMoments", Napi::Function::New<column_moments>(env, "columnMoments"));
  exports.Set("splitColumns", Napi::Function::New<columns_apart>(env, "splitColumns"));
  exports.Set("rescale", Napi::Function::New<rescaled>(env, "rescale"));
  exports.Set("sumOfSquares", Napi::Function::New<squares>(env, "sumOfSquares"));
  exports.Set("makeConditions", Napi::Function::New<conditions>(env, "makeConditions"));
  exports.Set("equalRowsBefore", Napi::Function::New<equal_rows>(env, "equalRowsBefore"));
  exports.Set("drawSheet", Napi::Function::New<sheet>(env, "drawSheet"));
  exports.Set("drawSheetNow", Napi::Function::New<sheet_now>(env, "drawSheetNow"));
  exports.Set("pixelsToFloats", Napi::Function::New<floats_of_pixels>(env, "pixelsToFloats"));
}

}  // namespace tr0n::addon
