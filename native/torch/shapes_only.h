#pragma once
#include <memory>

namespace tr0n::torchscript {

/// While it lives, products and convolutions of this thread have results of the right shape and type, and
/// whatever numbers lay in their memory: what a model makes of a shape is known for next to nothing. Operands
/// that do not fit are errors as they always are.
class ShapesOnly {
 public:
  ShapesOnly();
  ~ShapesOnly();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
};

}  // namespace tr0n::torchscript
