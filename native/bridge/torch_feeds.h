#pragma once
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bridge/host_block.h"
#include "bridge/session.h"

namespace tr0n {

/// A value that an input of a TorchScript model always has: one number for all of it, or numbers of a shape.
struct TorchConstant {
  std::vector<float> numbers;
  std::vector<int64_t> shape;
  bool fills = false;  ///< one number for all

  bool whole() const;  ///< whether integers can be these numbers
};
using GivenConstants = std::map<std::string, TorchConstant>;

/// An input of a model that nobody feeds.
struct TorchConstantFeed {
  const TorchConstant* constant = nullptr;
  ort::ElementType type = ort::ElementType::undefined;
  std::vector<int64_t> shape;  ///< −1 first where the value is every row's
};

/// What a constant's tensor is for so many rows, in memory of `block`.
TensorView constant_view(const TorchConstantFeed& feed, int64_t rows, HostBlock& block);

/// What goes into a TorchScript model's inputs: some are fed, the others are constants.
class TorchFeeds {
 public:
  /// The next input of the model: fed, or a constant.
  void add_open() { constants_.emplace_back(); }
  void add_constant(const TorchConstant& constant, const TorchConstantFeed& feed);

  /// The tensors of all inputs, of those that are fed; `blocks` has the memory of the others. Rows are the
  /// first size of the first.
  std::vector<TensorView> complete(const std::vector<TensorView>& open, std::vector<HostBlock>& blocks) const;
  /// `values` of the fed inputs among null for the others.
  std::vector<float*> spread(const std::vector<float*>& values) const;

 private:
  struct Kept {
    TorchConstant constant;
    TorchConstantFeed feed;
  };
  std::vector<std::optional<Kept>> constants_;  ///< [inputs of the model]
};

}  // namespace tr0n
