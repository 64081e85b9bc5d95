#include <algorithm>
#include <cstring>
#include <random>

#include "bridge/placed_copy.h"
#include "bridge/row_runner.h"
#include "bridge/rule_book.h"

namespace tr0n {

namespace {

/// Rows that look like latents, conditions and images alike: standard normal, with some rows made positive
/// with sum one, since a class condition is a distribution. Fixed, so that the rule is the same in every
/// process.
std::vector<float> probe_rows(size_t rows, size_t size, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * size);
  for (float& value : values) value = normal(bits);
  for (size_t row = 1; row < rows; row += 3) {
    float* x = values.data() + row * size;
    float sum = 0;
    for (size_t j = 0; j < size; ++j) sum += x[j] = std::abs(x[j]) + 1e-3f;
    for (size_t j = 0; j < size; ++j) x[j] /= sum;
  }
  return values;
}

constexpr size_t kReferenceRows = 8;
/// Larger blocks gain nothing on a CPU and cost memory for activations.
constexpr size_t kLargestBlock = 32;
/// Output values of a row, times rounds of fresh rows, that a comparison sees.
constexpr size_t kValuesToCompare = 256;
constexpr size_t kMostRounds = 16;
/// With fewer of them, each compared at about twenty places, a difference could go unseen.
constexpr size_t kLeastValues = 16;
/// Rounds beyond the budget are for models whose rows are next to nothing: operations that take 10 ms.
constexpr double kRoundsCost = 1e9;

}  // namespace

/// The shape of every output from one run in which the runtime allocates them.
void RowRunner::learn_outputs(CancelToken& cancel) {
  const size_t rows = limits_.fixed_batch > 0 ? limits_.fixed_batch : std::min(limits_.max_batch, size_t{2});
  const Place place = model_->place();
  std::vector<PlacedBuffer> data(model_->inputs().size());
  std::vector<const float*> inputs;
  for (const RowInput& input : model_->inputs()) {
    const std::vector<float> values = probe_rows(rows, input.size, 1);
    float* const there = data[inputs.size()].reserve(place, values.size());
    copy_floats(there, place, values.data(), {}, values.size());
    inputs.push_back(there);
  }
  std::vector<RowOutput> outputs;
  count_rows(rows);
  for (const std::vector<int64_t>& shape : model_->output_shapes(inputs.data(), rows, cancel)) {
    const std::string what = model_->name() + ": output \"" + model_->output_names()[outputs.size()] + "\"";
    if (shape.empty() || shape[0] != static_cast<int64_t>(rows))
      throw Error("ERR_SHAPE_MISMATCH", what + ": expected one row per row of the inputs, got shape " +
                                            shape_text(shape) + " for " + std::to_string(rows) + " rows");
    RowOutput output;
    output.shape.assign(shape.begin() + 1, shape.end());
    output.size = element_count(output.shape);
    if (output.size == 0) throw Error("ERR_SHAPE_MISMATCH", what + " is empty: shape " + shape_text(shape));
    outputs.push_back(std::move(output));
  }
  outputs_ = std::move(outputs);
}

/// Runs blocks of the same random rows and compares outputs bit for bit.
class RowRunner::Probe {
 public:
  Probe(const RowRunner& runner, size_t base, unsigned seed, const CancellableRun& run,
        const CancelToken& cancel)
      : runner_(runner),
        inputs_(runner.model_->inputs()),
        base_(base),
        run_(run),
        cancel_(cancel),
        scratch_(runner.make_scratch()) {
    for (size_t i = 0; i < inputs_.size(); ++i)
      rows_.push_back(probe_rows(base, inputs_[i].size, seed + static_cast<unsigned>(i)));
    reference_ = outputs_of(0, base);
  }

  /// Whether `count` rows in one block, of which row i is base row (start + i) mod base, come out as in the
  /// reference block of all base rows in their order.
  bool agrees(size_t start, size_t count) {
    const std::vector<HostBlock> got = outputs_of(start, count);
    for (size_t k = 0; k < runner_.outputs_.size(); ++k) {
      const size_t size = runner_.outputs_[k].size;
      for (size_t row = 0; row < count; ++row)
        if (std::memcmp(got[k].floats() + row * size, reference_[k].floats() + (start + row) % base_ * size,
                        size * sizeof(float)) != 0)
          return false;
    }
    return true;
  }

 private:
  std::vector<HostBlock> outputs_of(size_t start, size_t count) {
    cancel_.throw_if_cancelled();
    std::vector<HostBlock> inputs, outputs;
    std::vector<const float*> input_data;
    std::vector<float*> output_data;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const size_t size = inputs_[i].size;
      inputs.emplace_back(count * size * sizeof(float));
      for (size_t row = 0; row < count; ++row)
        std::memcpy(inputs[i].floats() + row * size, rows_[i].data() + (start + row) % base_ * size,
                    size * sizeof(float));
      input_data.push_back(inputs[i].floats());
    }
    for (const RowOutput& output : runner_.outputs_) {
      outputs.emplace_back(count * output.size * sizeof(float));
      output_data.push_back(outputs.back().floats());
    }
    runner_.run_block({input_data.data(), output_data.data(), {}}, 0, count, count, scratch_, run_, cancel_);
    return outputs;
  }

  const RowRunner& runner_;
  const std::vector<RowInput>& inputs_;
  const size_t base_;
  const CancellableRun& run_;
  const CancelToken& cancel_;
  std::vector<std::vector<float>> rows_;
  Scratch scratch_;
  std::vector<HostBlock> reference_;
};

/// Whether a rule could have been found for these limits.
bool RowRunner::allows(const BlockRule& rule) const {
  return rule.granularity >= 1 && rule.granularity <= kReferenceRows && rule.max_rows >= rule.granularity &&
         rule.max_rows % rule.granularity == 0 && rule.max_rows <= std::min(limits_.max_batch, kLargestBlock);
}

/// The rule that is known, or that is found and known from now on.
BlockRule RowRunner::decide(CancelToken& cancel) {
  if (model_->on_device()) {
    const size_t least = std::max<size_t>(1, limits_.fixed_batch);
    size_t most = least;
    while (limits_.fixed_batch == 0 && 2 * most <= limits_.max_batch) most *= 2;
    return {least, most, true};
  }
  if (limits_.fixed_batch > 0) return {limits_.fixed_batch, limits_.fixed_batch};
  if (limits_.max_batch <= 1) return {1, 1};
  RowCost cost = limits_.cost;
  cost += model_->counted();
  cost.bytes = std::max(cost.bytes, static_cast<double>(model_->model_bytes()));
  const ProbeTier tier = probe_tier(cost);
  if (tier == ProbeTier::alone) return {1, 1};
  if (limits_.key.empty()) return probe(tier, cost, cancel);
  RuleBook& book = RuleBook::instance();
  if (const std::optional<BlockRule> known = book.find(limits_.key); known && allows(*known)) return *known;
  const BlockRule found = probe(tier, cost, cancel);
  book.add(limits_.key, found);
  return found;
}

/// Finds the finest block sizes that agree bit for bit, by trying: the same rows at other places of a block,
/// and in blocks of other sizes. A sample is no proof, but differences in rounding show in a few per cent of
/// all values or more (measured: from 3 % for Elu on), so some hundreds of values in each comparison leave
/// little to chance. What is evaluated is three times the largest block at most, the two rows of
/// learn_outputs() included; models with few outputs are tried with more rows where these cost next to
/// nothing.
BlockRule RowRunner::probe(ProbeTier tier, const RowCost& cost, CancelToken& cancel) {
  const bool fine_tier = tier == ProbeTier::fine;
  const size_t largest = std::min(limits_.max_batch, fine_tier ? kLargestBlock : kReferenceRows);
  const size_t base = std::min(largest, kReferenceRows);

  size_t values = 0;
  for (const RowOutput& output : outputs_) values += output.size;
  // A round are a reference, the same rows elsewhere, and small blocks of 11 rows together.
  const double round_cost = static_cast<double>(2 * base + 11) * cost.flops + 6 * cost.call();
  const size_t affordable =
      round_cost * kMostRounds < kRoundsCost ? kMostRounds : static_cast<size_t>(kRoundsCost / round_cost);
  const size_t wanted = std::clamp<size_t>(kValuesToCompare / values, 1, kMostRounds);
  const size_t rounds = fine_tier ? std::clamp<size_t>(affordable, 1, wanted) : 1;
  // Few numbers say little about blocks of other sizes: then all blocks have the reference's.
  const bool one_size = values * rounds < kLeastValues;
  // Every remainder that vector loops leave, and one beyond a whole vector; where less is affordable, whether
  // rows may run alone, or else in vectors of 4.
  const std::vector<size_t> multiples = fine_tier ? std::vector<size_t>{1, 2, 3, 5} : std::vector<size_t>{1};
  const size_t refinement = fine_tier ? 2 : 4;

  const CancellableRun run(cancel);
  size_t granularity = one_size ? base : 1, top = one_size ? base : largest;
  for (size_t round = 0; round < rounds; ++round) {
    Probe probe(*this, base, 17 + 1000 * static_cast<unsigned>(round), run, cancel);
    if (!probe.agrees(1 + round % (base - 1), base)) return {1, 1};  // the place in the block matters
    if (round == 0 && top > base && !(probe.agrees(3, top) && probe.agrees(0, top / 2))) top = base;
    const auto fine = [&] {
      for (const size_t multiple : multiples) {
        const size_t count = multiple * granularity;
        if (count < base && !probe.agrees((round + count) % base, count)) return false;
      }
      return true;
    };
    while (granularity < base && !fine()) granularity = std::min(base, granularity * refinement);
  }
  return {granularity, top / granularity * granularity};
}

}  // namespace tr0n
