#include "core/translator/parameters.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/memory.h"

namespace tr0n {
namespace {

/// Parameters, and a copy of them at the start.
void check_memory(const std::vector<Parameter>& parameters) {
  const double bytes = 8 * static_cast<double>(parameters.back().offset + parameters.back().size);
  if (bytes > static_cast<double>(available_memory()))
    throw Error("ERR_OUT_OF_MEMORY", "translator: " + std::to_string(static_cast<uint64_t>(bytes / 1048576)) +
                                         " MiB for its parameters are more than there are");
}

constexpr size_t kAlignment = 64 / sizeof(float);
size_t aligned(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

size_t placed_size(const std::vector<Parameter>& parameters) {
  return parameters.back().place + aligned(parameters.back().size);
}

std::vector<float> place_parameters(const std::vector<Parameter>& parameters, const float* flat) {
  std::vector<float> placed(placed_size(parameters));
  for (const Parameter& p : parameters) std::copy_n(flat + p.offset, p.size, placed.data() + p.place);
  return placed;
}

void collect_parameters(const std::vector<Parameter>& parameters, const float* placed, float* flat) {
  for (const Parameter& p : parameters) std::copy_n(placed + p.place, p.size, flat + p.offset);
}

std::vector<Parameter> parameter_layout(const TranslatorConfig& config) {
  config.check();
  std::vector<Parameter> parameters;
  size_t offset = 0, place = 0;
  const auto add = [&](const char* name, std::vector<size_t> shape) {
    size_t size = 1;
    for (const size_t extent : shape) size *= extent;
    parameters.push_back({name, std::move(shape), offset, size, place});
    offset += size;
    place += aligned(size);
  };
  const auto linear = [&](const std::string& name, size_t out, size_t in) {
    add((name + ".weight").c_str(), {out, in});
    add((name + ".bias").c_str(), {out});
  };
  linear("shared1", config.hidden, config.condition);
  for (size_t block = 0; block < config.depth; ++block)
    linear("shared" + std::to_string(2 + block), config.hidden, config.hidden);
  if (config.rank == 0) {
    linear("z_layer", config.components * config.latent, config.hidden);
  } else {
    linear("z_codes", config.components * config.rank, config.hidden);
    linear("z_basis", config.latent, config.rank);
  }
  if (!config.deterministic) {
    linear("z_mixture_logits", config.components, config.hidden);
    add("z_log_stds", {1, config.component_stds ? config.components : 1, config.latent});
  }
  if (config.auxiliary > 0) linear("y_layer", config.auxiliary, config.hidden);
  check_memory(parameters);
  return parameters;
}

}  // namespace tr0n
