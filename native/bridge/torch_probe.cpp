#include "bridge/torch_probe.h"

#include <algorithm>
#include <optional>

namespace tr0n {
namespace {

using ort::ElementType;

/// Image sizes that networks are made for: the smallest first, which cost least, and the usual ones first.
constexpr int64_t kSmallestFirst[] = {4, 8, 16, 28, 32, 64, 96, 128, 224, 256, 299, 384, 512};
constexpr int64_t kUsualFirst[] = {32, 64, 28, 128, 224, 256, 16, 299, 8, 96, 384, 512, 4};
/// Inputs whose type is tried; more would be too many combinations.
constexpr size_t kMostUntyped = 4;
/// Combinations of shapes of constants that are tried.
constexpr size_t kMostShapes = 64;

/// One way to feed the model.
struct Trial {
  int64_t rows = 1;
  int64_t size = 1;  ///< of all axes but the batch whose size is open
  std::vector<ElementType> types;
  std::vector<std::vector<int64_t>> constants;  ///< shapes of those that are; −1 first: every row's
};

struct Outcome {
  std::vector<ValueInfo> outputs;
};

class Prober {
 public:
  Prober(const TorchModel& model, const GivenShapes& given, const GivenConstants& constants, int threads,
         const CancelToken& cancel)
      : model_(model),
        threads_(threads),
        cancel_(cancel),
        inputs_(model.inputs()),
        constants_(inputs_.size(), nullptr) {
    for (const auto& [name, constant] : constants) constants_[place("options.inputs", name)] = &constant;
    for (const auto& [name, shape] : given) apply(name, shape);
    if (std::count(constants_.begin(), constants_.end(), nullptr) == 0)
      throw Error("ERR_INVALID_ARGUMENT", "options.inputs: expected at least one input of " + model.name() +
                                              " that is not fixed, got values for all");
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const ValueInfo& input = inputs_[i];
      if (constants_[i] != nullptr) continue;
      if (input.shape.empty() && given.count(input.name) == 0)
        throw Error("ERR_INVALID_ARGUMENT",
                    model.name() + ": the shape of input \"" + input.name +
                        "\" cannot be told from the model (TorchScript carries no shapes); give it by "
                        "options.inputShapes, such as { " +
                        input.name + ": [1, 64] }, or fix the input's value by options.inputs");
      for (size_t axis = 1; axis < input.shape.size(); ++axis) open_ = open_ || input.shape[axis] < 0;
    }
  }

  TorchInterface probe() {
    Trial base;
    Outcome outcome = first_success(base, kSmallestFirst);
    std::vector<Outcome> others;
    bool free_rows = vary_rows(base, outcome, others);
    bool free_size = open_ && vary_size(base, free_rows ? 2 : base.rows, others);
    if (open_ && !free_size) {
      // Where not all sizes serve, the most usual one of those that do is meant.
      others.clear();
      outcome = first_success(base, kUsualFirst);
      free_rows = vary_rows(base, outcome, others);
      free_size = vary_size(base, free_rows ? 2 : base.rows, others);
    }
    return describe(base, outcome, others, free_rows, free_size);
  }

 private:
  void apply(const std::string& name, const std::vector<int64_t>& shape) {
    ValueInfo& input = inputs_[place("options.inputShapes", name)];
    input.shape = shape;
    input.symbols.assign(shape.size(), "");
    given_.push_back(name);
    if (!shape.empty() && shape[0] > 0) rows_ = shape[0];
  }

  size_t place(const char* option, const std::string& name) const {
    std::string names;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i].name == name) return i;
      names += (names.empty() ? "\"" : ", \"") + inputs_[i].name + "\"";
    }
    throw Error("ERR_INVALID_ARGUMENT", std::string(option) + ": " + model_.name() + " has no input \"" +
                                            name + "\"; its inputs are: " + names);
  }

  /// The shapes that the constants may have, all with all: by what the graph tells, as they are, and as every
  /// row's.
  std::vector<std::vector<std::vector<int64_t>>> constant_choices() const {
    std::vector<std::vector<std::vector<int64_t>>> choices{std::vector<std::vector<int64_t>>(inputs_.size())};
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (constants_[i] == nullptr) continue;
      std::vector<std::vector<std::vector<int64_t>>> more;
      for (const std::vector<int64_t>& shape : shapes_of(i))
        for (std::vector<std::vector<int64_t>> choice : choices) {
          choice[i] = shape;
          more.push_back(std::move(choice));
        }
      choices = std::move(more);
      if (choices.size() > kMostShapes) choices.resize(kMostShapes);
    }
    return choices;
  }

  std::vector<std::vector<int64_t>> shapes_of(size_t i) const {
    const TorchConstant& constant = *constants_[i];
    const std::vector<int64_t>& told = inputs_[i].shape;
    std::vector<std::vector<int64_t>> shapes;
    if (constant.fills) {
      // Where the graph tells all sizes of a row, or the caller does.
      if (told.size() > 1 && std::count(told.begin() + 1, told.end(), -1) == 0) {
        shapes.push_back(told);
        shapes.back()[0] = is_given(inputs_[i].name) && told[0] > 0 ? told[0] : -1;
      }
      shapes.insert(shapes.end(), {{}, {-1}, {-1, 1}});
      return shapes;
    }
    shapes.push_back(constant.shape);
    shapes.push_back(constant.shape);
    shapes.back().insert(shapes.back().begin(), -1);
    if (!constant.shape.empty() && constant.shape[0] == 1) {
      shapes.push_back(constant.shape);
      shapes.back()[0] = -1;
    }
    return shapes;
  }

  bool is_given(const std::string& name) const {
    return std::find(given_.begin(), given_.end(), name) != given_.end();
  }

  std::vector<int64_t> shape_of(const ValueInfo& input, const Trial& trial) const {
    std::vector<int64_t> shape = input.shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (axis == 0)
        shape[axis] = trial.rows;
      else if (shape[axis] < 0)
        shape[axis] = trial.size;
    }
    return shape;
  }

  TorchConstantFeed feed_of(size_t i, const Trial& trial) const {
    return {constants_[i], trial.types[i], trial.constants[i]};
  }

  Outcome run(const Trial& trial) const {
    cancel_.throw_if_cancelled();
    std::vector<HostBlock> blocks;
    std::vector<TensorView> views;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (constants_[i] != nullptr) {
        blocks.emplace_back();
        views.push_back(constant_view(feed_of(i, trial), trial.rows, blocks.back()));
        continue;
      }
      TensorView view;
      view.shape = shape_of(inputs_[i], trial);
      view.type = trial.types[i];
      const size_t bytes = element_count(view.shape) * type_size(view.type);
      blocks.emplace_back(bytes);
      std::fill_n(static_cast<char*>(blocks.back().data()), bytes, char{0});
      view.data = blocks.back().data();
      views.push_back(std::move(view));
    }
    const auto tape =
        model_.run(views.data(), views.size(), threads_, /*record=*/false, cancel_, TorchWanted::shapes);
    Outcome outcome;
    for (size_t k = 0; k < tape->output_count(); ++k) outcome.outputs.push_back(tape->info(k));
    return outcome;
  }

  /// Null where the run fails, with the reason in failure_.
  std::optional<Outcome> attempt(const Trial& trial) {
    try {
      ++attempts_;
      return run(trial);
    } catch (const Error& error) {
      if (error.code() != "ERR_RUN_FAILED") throw;
      if (failure_.empty() || trial.rows != 1) failure_ = error.what();
      return std::nullopt;
    }
  }

  /// Inputs of unknown type as real numbers, then more and more of them as integers.
  std::vector<std::vector<ElementType>> type_choices() const {
    std::vector<size_t> unknown;
    std::vector<ElementType> types;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      types.push_back(inputs_[i].type);
      if (types[i] == ElementType::undefined) unknown.push_back(i);
    }
    if (unknown.size() > kMostUntyped) unknown.resize(0);
    std::vector<std::vector<ElementType>> choices;
    for (const ElementType real : {ElementType::float32, ElementType::float64}) {
      for (size_t mask = 0; mask < size_t{1} << unknown.size(); ++mask) {
        std::vector<ElementType> choice = types;
        for (ElementType& type : choice)
          if (type == ElementType::undefined) type = real;
        bool possible = true;
        for (size_t j = 0; j < unknown.size(); ++j) {
          if ((mask >> j & 1) == 0) continue;
          choice[unknown[j]] = ElementType::int64;
          possible = possible && (constants_[unknown[j]] == nullptr || constants_[unknown[j]]->whole());
        }
        if (possible && std::find(choices.begin(), choices.end(), choice) == choices.end())
          choices.push_back(choice);
      }
    }
    return choices;
  }

  template <size_t kCount>
  Outcome first_success(Trial& trial, const int64_t (&order)[kCount]) {
    const std::vector<int64_t> rows = rows_ > 0 ? std::vector<int64_t>{rows_} : std::vector<int64_t>{1, 2};
    std::vector<int64_t> sizes(std::begin(order), std::end(order));
    if (!open_) sizes.resize(1);
    for (const auto& types : type_choices()) {
      for (const auto& constants : constant_choices()) {
        for (const int64_t size : sizes) {
          for (const int64_t n : rows) {
            trial = {n, size, types, constants};
            if (auto outcome = attempt(trial)) return std::move(*outcome);
          }
        }
      }
    }
    bool all_given = true;
    for (size_t i = 0; i < inputs_.size(); ++i)
      all_given = all_given && (constants_[i] != nullptr || is_given(inputs_[i].name));
    throw Error(
        "ERR_RUN_FAILED",
        all_given && !open_
            ? failure_ + " (on zeros of options.inputShapes)"
            : failure_ + " (on zeros, with each of the " + std::to_string(attempts_) +
                  " shapes and types that were tried; options.inputShapes says what the model takes)");
  }

  /// Whether other numbers of rows serve. `outcome` becomes that of two, `others` gets that of others.
  bool vary_rows(const Trial& base, Outcome& outcome, std::vector<Outcome>& others) {
    Trial trial = base;
    trial.rows = base.rows + 1;
    auto more = attempt(trial);
    if (!more) return false;
    if (base.rows > 1) {
      others.push_back(std::move(*more));
      return true;
    }
    if (follow(outcome, *more)) {
      others.push_back(std::move(outcome));
      outcome = std::move(*more);
      return true;
    }
    // One row is special where squeezing and broadcasting treat it differently.
    trial.rows = 3;
    auto three = attempt(trial);
    if (!three) return false;
    outcome = std::move(*more);
    others.push_back(std::move(*three));
    return true;
  }

  /// Whether every output has as many axes for one row as for two, and one that is as long as there are rows.
  static bool follow(const Outcome& one, const Outcome& two) {
    if (one.outputs.size() != two.outputs.size()) return false;
    for (size_t k = 0; k < one.outputs.size(); ++k) {
      const std::vector<int64_t>&a = one.outputs[k].shape, &b = two.outputs[k].shape;
      if (a.size() != b.size()) return false;
      const auto differs = std::mismatch(a.begin(), a.end(), b.begin());
      if (differs.first == a.end() || *differs.second != 2 * *differs.first) return false;
    }
    return true;
  }

  /// Whether another size of what is open serves as well as the first that did.
  bool vary_size(const Trial& base, int64_t rows, std::vector<Outcome>& others) {
    for (const int64_t size : {2 * base.size, int64_t{64}, int64_t{128}, int64_t{256}}) {
      Trial trial = base;
      trial.size = size;
      trial.rows = rows;
      if (size == base.size) continue;
      if (auto result = attempt(trial)) {
        others.push_back(std::move(*result));
        return true;
      }
    }
    return false;
  }

  TorchInterface describe(const Trial& base, const Outcome& outcome, const std::vector<Outcome>& others,
                          bool free_rows, bool free_size) const {
    TorchInterface result;
    result.outputs = outcome.outputs;
    for (const Outcome& other : others) {
      if (other.outputs.size() != result.outputs.size()) throw changed();
      for (size_t k = 0; k < result.outputs.size(); ++k) {
        std::vector<int64_t>& shape = result.outputs[k].shape;
        const std::vector<int64_t>& seen = other.outputs[k].shape;
        if (seen.size() != shape.size()) throw changed();
        for (size_t axis = 0; axis < shape.size(); ++axis)
          if (seen[axis] != shape[axis]) shape[axis] = -1;
      }
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (constants_[i] != nullptr) {
        result.feeds.add_constant(*constants_[i], feed_of(i, base));
        continue;
      }
      result.feeds.add_open();
      result.inputs.push_back(inputs_[i]);
      ValueInfo& input = result.inputs.back();
      input.type = base.types[i];
      const bool given = is_given(input.name);
      for (size_t axis = 0; axis < input.shape.size(); ++axis) {
        if (axis == 0)
          input.shape[axis] = free_rows ? -1 : base.rows;
        else if (input.shape[axis] < 0 && !free_size && !given)
          input.shape[axis] = base.size;
      }
    }
    for (std::vector<ValueInfo>* values : {&result.inputs, &result.outputs})
      for (ValueInfo& value : *values)
        if (!value.shape.empty() && value.shape[0] < 0) value.symbols[0] = "batch";
    return result;
  }

  Error changed() const {
    return Error("ERR_MODEL_UNSUPPORTED",
                 model_.name() + ": the number of outputs, or of their axes, depends on the inputs' sizes");
  }

  const TorchModel& model_;
  const int threads_;
  const CancelToken& cancel_;
  std::vector<ValueInfo> inputs_;
  std::vector<const TorchConstant*> constants_;  ///< [inputs], null where an input is fed
  std::vector<std::string> given_;
  int64_t rows_ = 0;   ///< as given; 0: not
  bool open_ = false;  ///< some axis besides the batch has no known size
  size_t attempts_ = 0;
  std::string failure_;
};

}  // namespace

TorchInterface probe_torch_model(const TorchModel& model, const GivenShapes& given,
                                 const GivenConstants& constants, int threads, const CancelToken& cancel) {
  return Prober(model, given, constants, threads, cancel).probe();
}

void check_torch_outputs(const TorchTape& tape, const std::vector<ValueInfo>& declared,
                         const std::string& model) {
  const auto changed = [&](const std::string& what) { return Error("ERR_RUN_FAILED", model + ": " + what); };
  if (tape.output_count() != declared.size())
    throw changed("the run gave " + std::to_string(tape.output_count()) + " outputs, expected " +
                  std::to_string(declared.size()));
  for (size_t k = 0; k < declared.size(); ++k) {
    const ValueInfo& got = tape.info(k);
    const ValueInfo& wanted = declared[k];
    if (got.name != wanted.name || got.type != wanted.type)
      throw changed("output " + std::to_string(k) + " is now \"" + got.name + "\", " + type_name(got.type) +
                    ", expected \"" + wanted.name + "\", " + type_name(wanted.type));
    bool fits = got.shape.size() == wanted.shape.size();
    for (size_t axis = 0; fits && axis < wanted.shape.size(); ++axis)
      fits = wanted.shape[axis] < 0 || wanted.shape[axis] == got.shape[axis];
    if (!fits)
      throw changed("output \"" + wanted.name + "\" changed its shape: expected " + shape_text(wanted) +
                    ", got " + shape_text(got));
  }
}

}  // namespace tr0n
