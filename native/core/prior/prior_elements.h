#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "device/buffer.h"
#include "device/kernels/prior.h"

namespace tr0n {

/// A Prior with the elements that it points to.
class PriorValues {
 public:
  PriorValues() = default;
  /// Kind::elements where there are any.
  PriorValues(const Prior& prior, std::vector<PriorElement> elements)
      : prior_(prior), elements_(std::move(elements)) {}

  Prior view() const {
    Prior prior = prior_;
    if (prior.kind != Prior::Kind::elements) return prior;
    prior.elements = elements_.data();
    prior.elements_peak = log_peak(elements_.data(), elements_.size());
    return prior;
  }

 private:
  Prior prior_;
  std::vector<PriorElement> elements_;
};

/// `size` dimensions of a prior in the host's memory, from `begin` on, for the kernels of a device.
class DevicePrior {
 public:
  DevicePrior(Device& device, const Prior& prior, size_t begin, size_t size)
      : elements_(device, prior.kind == Prior::Kind::elements ? size : 0), view_(prior) {
    view_.dim = size;
    if (prior.kind != Prior::Kind::elements) return;
    std::copy_n(prior.elements + begin, size, elements_.host());
    elements_.push();
    view_.elements = elements_.device();
    view_.elements_peak = log_peak(elements_.host(), size);
  }
  const Prior& view() const { return view_; }

 private:
  Mirror<PriorElement> elements_;
  Prior view_;
};

}  // namespace tr0n
