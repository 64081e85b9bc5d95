#include "core/training/checks.h"

#include <cmath>
#include <string>

#include "base/error.h"

namespace tr0n {
namespace {

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_INVALID_ARGUMENT", "training: " + what); }

void check_rows(const char* name, const float* values, size_t n, size_t size) {
  if (values == nullptr) fail(std::string(name) + ": expected values, got none");
  for (size_t i = 0; i < n * size; ++i)
    if (!std::isfinite(values[i]))
      fail(std::string(name) + ": expected finite values, got " + std::to_string(values[i]) + " in pair " +
           std::to_string(i / size));
}

void check_probabilities(const float* c, size_t n, size_t m) {
  for (size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (size_t j = 0; j < m; ++j) {
      if (c[i * m + j] < 0)
        fail("c: labels are drawn from probabilities, got " + std::to_string(c[i * m + j]) + " in pair " +
             std::to_string(i));
      sum += static_cast<double>(c[i * m + j]);
    }
    if (!(sum > 0))
      fail("c: labels are drawn from probabilities, got only zeros in pair " + std::to_string(i));
  }
}

void check_pairs(const TranslatorConfig& translator, const TrainerConfig& config, const float* z,
                 const float* c, size_t n) {
  check_rows("z", z, n, translator.latent);
  check_rows("c", c, n, translator.condition);
  if (config.sample_labels) check_probabilities(c, n, translator.condition);
}

void check_objective(const TranslatorConfig& translator, const TrainerConfig& config,
                     const Objective* objective) {
  if (config.loss != Loss::relaxed) return;
  if (objective == nullptr) fail("objective: a relaxed loss needs one, got none");
  if (!objective->has_gradient())
    throw Error("ERR_NO_GRADIENT", "training: a relaxed loss needs ∂E/∂z, and the objective has no gradient");
  if (translator.deterministic)
    fail("a relaxed loss draws from a mixture, and this translator is deterministic");
  const size_t latent = translator.latent + translator.auxiliary;
  if (objective->latent_size() != latent || objective->condition_size() != translator.condition)
    throw Error("ERR_SHAPE_MISMATCH", "training: the objective has latents of " +
                                          std::to_string(objective->latent_size()) + " and conditions of " +
                                          std::to_string(objective->condition_size()) +
                                          " numbers, the translator of " + std::to_string(latent) +
                                          ", y included, and " + std::to_string(translator.condition));
  if (config.auxiliary_begin > translator.latent)
    fail("auxiliary begin: expected at most " + std::to_string(translator.latent) +
         ", so that y fits into the latent, got " + std::to_string(config.auxiliary_begin));
}

}  // namespace

void check_training(const TrainerConfig& config, size_t n) {
  if (n == 0) fail("expected at least one pair, got 0");
  if (n > ~uint32_t{0}) fail("at most 2^32 - 1 pairs, got " + std::to_string(n));
  check_fields(config, "training");
}

const TrainerConfig& checked_training(const TranslatorConfig& translator, const TrainerConfig& config,
                                      const float* z, const float* c, const float* y, size_t n,
                                      const Objective* objective) {
  check_training(config, n);
  check_objective(translator, config, objective);
  check_pairs(translator, config, z, c, n);
  if (translator.auxiliary > 0) check_rows("y", y, n, translator.auxiliary);
  return config;
}

void check_held_out(const TranslatorConfig& translator, const TrainerConfig& config, const float* z,
                    const float* c, const float* y, size_t n, const Objective* objective) {
  if (n == 0) fail("expected at least one held-out pair, got 0");
  check_pairs(translator, config, z, c, n);
  check_objective(translator, config, objective);
  if (y != nullptr) check_rows("y", y, n, translator.auxiliary);
}

}  // namespace tr0n
