#include "bridge/torch_feeds.h"

#include <algorithm>
#include <cmath>

#include "bridge/value_info.h"

namespace tr0n {
namespace {

using ort::ElementType;

template <class T>
void fill(const TorchConstant& constant, size_t count, void* memory) {
  T* to = static_cast<T*>(memory);
  const size_t size = constant.numbers.size();
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<T>(constant.numbers[i % size]);
}

}  // namespace

bool TorchConstant::whole() const {
  return std::all_of(numbers.begin(), numbers.end(),
                     [](float number) { return std::isfinite(number) && number == std::floor(number); });
}

TensorView constant_view(const TorchConstantFeed& feed, int64_t rows, HostBlock& block) {
  TensorView view;
  view.type = feed.type;
  view.shape = feed.shape;
  if (!view.shape.empty() && view.shape[0] < 0) view.shape[0] = rows;
  const size_t count = element_count(view.shape);
  block = HostBlock(count * type_size(view.type));
  view.data = block.data();
  switch (view.type) {
    case ElementType::float64:
      fill<double>(*feed.constant, count, block.data());
      break;
    case ElementType::int64:
      fill<int64_t>(*feed.constant, count, block.data());
      break;
    case ElementType::int32:
      fill<int32_t>(*feed.constant, count, block.data());
      break;
    case ElementType::uint8:
    case ElementType::boolean:
      fill<uint8_t>(*feed.constant, count, block.data());
      break;
    default:
      view.type = ElementType::float32;
      fill<float>(*feed.constant, count, block.data());
  }
  return view;
}

void TorchFeeds::add_constant(const TorchConstant& constant, const TorchConstantFeed& feed) {
  constants_.push_back(Kept{constant, feed});
}

std::vector<TensorView> TorchFeeds::complete(const std::vector<TensorView>& open,
                                             std::vector<HostBlock>& blocks) const {
  const int64_t rows = open.empty() || open[0].shape.empty() ? 1 : open[0].shape[0];
  std::vector<TensorView> views;
  size_t next = 0;
  for (const std::optional<Kept>& kept : constants_) {
    if (!kept) {
      views.push_back(open.at(next++));
      continue;
    }
    TorchConstantFeed feed = kept->feed;
    feed.constant = &kept->constant;
    blocks.emplace_back();
    views.push_back(constant_view(feed, rows, blocks.back()));
  }
  return views;
}

std::vector<float*> TorchFeeds::spread(const std::vector<float*>& values) const {
  std::vector<float*> all;
  size_t next = 0;
  for (const std::optional<Kept>& kept : constants_) all.push_back(kept ? nullptr : values.at(next++));
  return all;
}

}  // namespace tr0n
