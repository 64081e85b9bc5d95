#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "bridge/torch_feeds.h"
#include "bridge/torch_model.h"

namespace tr0n {

/// What goes into and comes out of a TorchScript model, found out by running it: the archive tells neither
/// shapes nor types. Sizes that any number serves are −1, the batch's first of all.
struct TorchInterface {
  std::vector<ValueInfo> inputs, outputs;  ///< inputs: those that are fed
  TorchFeeds feeds;
};

/// Shapes by input, batch axis included; −1 for axes that any size serves.
using GivenShapes = std::map<std::string, std::vector<int64_t>>;

/// Runs the model on zeros of the given shapes, and of what its graph suggests where none are given, the
/// smallest sizes first: with more rows to see which axes follow the batch, and images of other sizes to see
/// whether those are free. Products and convolutions are not computed.
/// Inputs are taken for float32 (float64 where the parameters are) unless the graph says, or only a run with
/// int64 succeeds. Constants are tried with the shapes that their values can have: as they are, and as every
/// row's.
///
/// Throws ERR_INVALID_ARGUMENT for shapes and constants of inputs that there are not, and where a shape
/// cannot be guessed; ERR_RUN_FAILED where nothing that was tried runs; what TorchModel::run() throws;
/// ERR_ABORTED.
TorchInterface probe_torch_model(const TorchModel& model, const GivenShapes& given,
                                 const GivenConstants& constants, int threads, const CancelToken& cancel);

/// Throws ERR_RUN_FAILED where a run's outputs are not those that were declared: other names, types or fixed
/// sizes.
void check_torch_outputs(const TorchTape& tape, const std::vector<ValueInfo>& declared,
                         const std::string& model);

}  // namespace tr0n
