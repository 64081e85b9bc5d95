#include "core/translator/config.h"

#include <string>

#include "base/error.h"

namespace tr0n {
namespace {

constexpr double kMaxParameters = 4e9;

}  // namespace

void TranslatorConfig::check() const {
  check_fields(*this, "translator");
  if (deterministic && (components > 1 || component_stds))
    throw Error("ERR_INVALID_ARGUMENT",
                "translator: expected one component and no stds where it is deterministic, got " +
                    std::to_string(components) + " components");
  if (rank >= latent && rank > 0)
    throw Error("ERR_INVALID_ARGUMENT", "translator: expected a rank below the latent's size " +
                                            std::to_string(latent) + ", or 0 for full means, got " +
                                            std::to_string(rank));
  const double h = static_cast<double>(hidden);
  const double outputs = static_cast<double>(components) * (static_cast<double>(head_width()) + 1) +
                         static_cast<double>(auxiliary) + static_cast<double>(condition);
  const double basis = static_cast<double>(rank) * static_cast<double>(latent);
  if (h * (h * static_cast<double>(depth) + outputs) + basis > kMaxParameters)
    throw Error("ERR_INVALID_ARGUMENT", "translator: condition " + std::to_string(condition) + ", hidden " +
                                            std::to_string(hidden) + ", depth " + std::to_string(depth) +
                                            ", latent " + std::to_string(latent) + ", components " +
                                            std::to_string(components) + ", auxiliary " +
                                            std::to_string(auxiliary) + " make more than 4e9 parameters");
}

}  // namespace tr0n
