#pragma once
#include <vector>

#include "core/translator/translator.h"

namespace tr0n {

/// How a linear head's outputs are turned: number j (of `factors.size()`, which may repeat) becomes
/// factor·output + centre.
struct HeadTurn {
  std::vector<double> factors, centres;
};

/// Turns the outputs of the layer `name` (weight [rows, hidden], bias [rows]) among flat values, in double.
void turn_head(const std::vector<Parameter>& parameters, const char* name, const HeadTurn& turn,
               std::vector<float>& values);

/// Sets every row of the log standard deviations, where there are any.
void set_log_stds(const std::vector<Parameter>& parameters, const std::vector<float>& log_stds,
                  std::vector<float>& values);

}  // namespace tr0n
