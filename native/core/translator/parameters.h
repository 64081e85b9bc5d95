#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "core/translator/config.h"

namespace tr0n {

/// One named tensor inside the flat parameter vector. Names and layouts as in method.md (Linear weights [out,
/// in]).
struct Parameter {
  std::string name;
  std::vector<size_t> shape;
  size_t offset = 0;  ///< in flat vectors
  size_t size = 0;
  size_t place = 0;  ///< in the device's memory, where every parameter begins at a multiple of 64 bytes
};

/// The parameters that a translator of this configuration has. Throws for one that is not possible.
std::vector<Parameter> parameter_layout(const TranslatorConfig& config);

/// Elements in the device's memory, gaps included.
size_t placed_size(const std::vector<Parameter>& parameters);

/// From a flat vector to one as in the device's memory, the gaps filled with zeros, and back.
std::vector<float> place_parameters(const std::vector<Parameter>& parameters, const float* flat);
void collect_parameters(const std::vector<Parameter>& parameters, const float* placed, float* flat);

}  // namespace tr0n
