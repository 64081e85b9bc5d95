#pragma once
#include "base/fields.h"
#include "device/kernels/prior.h"

namespace tr0n {

template <>
struct Names<Prior::Kind> {
  static constexpr std::pair<const char*, Prior::Kind> all[] = {
      {"normal", Prior::Kind::normal},
      {"truncatedNormal", Prior::Kind::truncated_normal},
      {"uniform", Prior::Kind::uniform},
      {"elements", Prior::Kind::elements}};
};

/// The fields of a Prior but for its elements; which of them count is for its kind to say (Prior::check).
struct PriorFields {
  template <class Self, class Visit>
  static void fields(Self& self, const Visit& visit) {
    visit(self.kind, Field("kind", "kind").needed());
    visit(self.dim, Field("dim", "dim").least(1).most(1 << 26).needed());
    visit(self.std, Field("std", "std").above(0));
    visit(self.bound, Field("bound", "bound").above(0));
    visit(self.low, Field("low", "low"));
    visit(self.high, Field("high", "high"));
  }
};

}  // namespace tr0n
