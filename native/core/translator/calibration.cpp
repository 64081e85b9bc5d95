#include "core/translator/calibration.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"

namespace tr0n {
namespace {

const Parameter* find(const std::vector<Parameter>& parameters, const std::string& name) {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const Parameter& parameter) { return parameter.name == name; });
  return found == parameters.end() ? nullptr : &*found;
}

float turned(float x, double factor, double centre) {
  return static_cast<float>(static_cast<double>(x) * factor + centre);
}

}  // namespace

void turn_head(const std::vector<Parameter>& parameters, const char* name, const HeadTurn& turn,
               std::vector<float>& values) {
  const Parameter* weight = find(parameters, std::string(name) + ".weight");
  const Parameter* bias = find(parameters, std::string(name) + ".bias");
  if (weight == nullptr || bias == nullptr)
    throw Error("ERR_INVALID_ARGUMENT", std::string(name) + ": this translator has no such layer");
  const size_t rows = bias->size, width = weight->size / rows, count = turn.factors.size();
  for_ranges(rows, width, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      const double factor = turn.factors[row % count];
      float* numbers = values.data() + weight->offset + row * width;
      for (size_t i = 0; i < width; ++i)
        numbers[i] = static_cast<float>(static_cast<double>(numbers[i]) * factor);
      float& constant = values[bias->offset + row];
      constant = turned(constant, factor, turn.centres[row % count]);
    }
  });
}

void set_log_stds(const std::vector<Parameter>& parameters, const std::vector<float>& log_stds,
                  std::vector<float>& values) {
  const Parameter* own = find(parameters, "z_log_stds");
  if (own == nullptr) return;
  for (size_t i = 0; i < own->size; ++i) values[own->offset + i] = log_stds[i % log_stds.size()];
}

}  // namespace tr0n
