#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/placed_buffer.h"
#include "bridge/segment.h"

namespace tr0n {

/// Models of any format one behind the other: their passes there and back over one block of rows. It decides
/// where every value between them lies: in the place of two neighbours that share one, else with the host.
class SegmentChain {
 public:
  using Passes = std::vector<std::unique_ptr<Segment::Pass>>;

  /// Cotangents on their way back: one buffer for what comes in, one for what goes out.
  class Cotangents {
   public:
    /// [rows, row…] behind segment `before` − 1, before segment `before`; kept from block to block. Without
    /// data in a place where only the runtime has memory.
    PlacedTensor& tensor(size_t before, size_t rows, const std::vector<int64_t>& row, const Place& place);

   private:
    PlacedBuffer buffers_[2];
    PlacedTensor tensors_[2];
  };

  /// Throws ERR_INVALID_ARGUMENT without segments.
  SegmentChain(std::string name, std::vector<std::shared_ptr<const Segment>> segments);

  const std::string& name() const { return name_; }
  size_t size() const { return segments_.size(); }
  const std::vector<int64_t>& input_shape() const { return segments_.front()->input_shape(); }  ///< of a row
  /// The place of all segments; the host's where they differ.
  Place place() const;
  const Place& first_place() const { return places_.front(); }
  const Place& last_place() const { return places_.back(); }
  size_t model_bytes() const;
  RowCost counted() const;
  bool on_device() const;
  /// Throws ERR_INVALID_ARGUMENT where a segment has no gradient.
  void require_gradients() const;

  /// Runs all segments; x lies with the host or in first_place(), the last output is left for a reader at
  /// `reader`. Throws ERR_SHAPE_MISMATCH where an output has not the rows that come next, which are
  /// `output_row` behind the last one (null: anything); ERR_ABORTED.
  Passes forward(const PlacedTensor& x, size_t rows, bool record, const Place& reader,
                 const std::vector<int64_t>* output_row, const CancellableRun& run,
                 const CancelToken& cancel) const;

  /// gradient [rows, input_shape()] = Jᵀ·cotangent of the output; they lie with the host, or in last_place()
  /// and first_place(). Throws ERR_ABORTED.
  void backward(Passes passes, const PlacedTensor& cotangent, size_t rows, PlacedTensor& gradient,
                Cotangents& cotangents, const CancellableRun& run, const CancelToken& cancel) const;

  /// Where a value goes from one place to another: there, if they are the same, or else through the host.
  static Place between(const Place& one, const Place& other) { return one == other ? one : Place{}; }

 private:
  std::string name_;
  std::vector<std::shared_ptr<const Segment>> segments_;
  std::vector<Place> places_;  ///< theirs
};

}  // namespace tr0n
