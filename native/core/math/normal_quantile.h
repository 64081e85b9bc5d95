#pragma once

namespace tr0n {

/// Φ⁻¹(p) for p in [0, ½], to 1e-15: −infinity at 0. Wichura, Algorithm AS 241 (1988).
double normal_quantile(double p);

}  // namespace tr0n
