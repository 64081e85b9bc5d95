#pragma once
#include <cstddef>

#include "core/objective.h"
#include "core/training/config.h"
#include "core/translator/config.h"

namespace tr0n {

/// Throws Error(ERR_INVALID_ARGUMENT) where so many pairs cannot be trained on so; looks at no pair.
void check_training(const TrainerConfig& config, size_t n);

/// The same, and looks at the pairs z [n, d], c [n, m] and y [n, auxiliary], and at what a relaxed loss needs
/// of the objective. Returns `config`.
const TrainerConfig& checked_training(const TranslatorConfig& translator, const TrainerConfig& config,
                                      const float* z, const float* c, const float* y, size_t n,
                                      const Objective* objective);

/// Of held-out pairs, which may have no y.
void check_held_out(const TranslatorConfig& translator, const TrainerConfig& config, const float* z,
                    const float* c, const float* y, size_t n, const Objective* objective);

}  // namespace tr0n
