#include "torch/shape_hints.h"

#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>

#include "torch/arguments.h"
#include "torch/fixed_values.h"

namespace tr0n::torchscript {
namespace {

using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;

/// How many operators deep a hint is looked for: it is the first ones that tell.
constexpr int kDeepest = 40;

struct Hint {
  std::vector<int64_t> shape;  ///< -1 where not known; empty: nothing known at all
  int32_t element_type = 0;
  explicit operator bool() const { return !shape.empty(); }
};

class Tracer {
 public:
  Tracer(const Fixed& fixed) : fixed_(fixed) {}

  /// What the operators that `value` goes into tell, put together.
  Hint of(const Value* value, int depth = 0) const {
    Hint result;
    if (depth > kDeepest) return result;
    for (const torch::jit::Use& use : value->uses()) merge(result, through(value, use, depth + 1));
    return result;
  }

 private:
  static void merge(Hint& into, const Hint& hint) {
    if (!hint) return;
    if (into.element_type == 0) into.element_type = hint.element_type;
    if (!into) {
      into.shape = hint.shape;
    } else if (into.shape.size() == hint.shape.size()) {
      // Parts of the same value: a slice [:52] and a slice [52:64] need 64.
      for (size_t i = 0; i < into.shape.size(); ++i) into.shape[i] = std::max(into.shape[i], hint.shape[i]);
    }
  }

  static Hint image(int64_t channels, size_t spatial, int64_t size) {
    Hint hint;
    hint.shape = {-1, channels};
    hint.shape.insert(hint.shape.end(), spatial, size);
    return hint;
  }

  Hint convolution(const Node* node, bool transposed) const {
    const auto weight = fixed_.sizes(node->input(1));
    if (!weight || weight->size() < 3) return {};
    const size_t spatial = weight->size() - 2;
    // A transposed convolution over the input itself is a generator's first: latents are images of one pixel.
    if (transposed) return image((*weight)[0], spatial, 1);
    const size_t groups_at = node->kind().toUnqualString() == std::string("_convolution") ? 8 : 6;
    const auto groups =
        node->inputs().size() > groups_at ? fixed_.integer(node->input(groups_at)) : std::nullopt;
    return image((*weight)[1] * groups.value_or(1), spatial, -1);
  }

  /// The hint for what split parts `value` into, by the parts' own hints.
  Hint split(const Node* node, int64_t axis, std::optional<int64_t> total, int depth) const {
    Hint part;
    for (const torch::jit::Use& use : node->output()->uses()) {
      if (use.user->kind() == prim::ListUnpack) {
        for (const Value* output : use.user->outputs()) merge(part, of(output, depth));
      } else if (std::string(use.user->kind().toUnqualString()) == "__getitem__") {
        merge(part, of(use.user->output(), depth));
      }
    }
    if (!part) {
      if (axis != 1 || !total) return {};
      part.shape = {-1, -1};
    }
    if (axis < 0) axis += static_cast<int64_t>(part.shape.size());
    if (axis < 0 || axis >= static_cast<int64_t>(part.shape.size())) return {};
    part.shape[static_cast<size_t>(axis)] = total.value_or(-1);
    return part;
  }

  Hint through(const Value* value, const torch::jit::Use& use, int depth) const {
    const Node* node = use.user;
    if (!node->kind().is_aten()) return {};
    const std::string op = node->kind().toUnqualString();
    const auto is = [&](std::initializer_list<const char*> names) {
      return std::any_of(names.begin(), names.end(), [&](const char* name) { return op == name; });
    };
    if (use.offset == 0) {
      if (is({"linear"})) {
        const auto weight = fixed_.sizes(node->input(1));
        return weight && weight->size() == 2 ? Hint{{-1, (*weight)[1]}} : Hint{};
      }
      if (is({"matmul", "mm"})) {
        const auto weight = fixed_.sizes(node->input(1));
        return weight && weight->size() == 2 ? Hint{{-1, (*weight)[0]}} : Hint{};
      }
      if (is({"conv1d", "conv2d", "conv3d"})) return convolution(node, false);
      if (is({"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})) return convolution(node, true);
      if (is({"_convolution"})) {
        const auto transposed = fixed_.value(node->input(6));
        return convolution(node, transposed && transposed->isBool() && transposed->toBool());
      }
      if (is({"one_hot"})) return {{-1}, element_type(at::kLong)};
      return reshaped(node, op, depth);
    }
    if (is({"addmm"}) && use.offset == 1) {
      const auto weight = fixed_.sizes(node->input(2));
      return weight && weight->size() == 2 ? Hint{{-1, (*weight)[0]}} : Hint{};
    }
    if (is({"embedding"}) && use.offset == 1) return {{-1}, element_type(at::kLong)};
    // Arithmetic with the input on the right.
    if (is({"add", "sub", "mul", "rsub"}) && use.offset == 1) return of(node->output(), depth);
    static_cast<void>(value);
    return {};
  }

  /// Operators on the input that hand it on in the same or another shape.
  Hint reshaped(const Node* node, const std::string& op, int depth) const {
    const auto is = [&](std::initializer_list<const char*> names) {
      return std::any_of(names.begin(), names.end(), [&](const char* name) { return op == name; });
    };
    // These keep the shape; of binary ones the input is taken for the larger side.
    if (is({"relu",  "relu_",  "leaky_relu", "elu",      "gelu",          "silu",       "tanh", "sigmoid",
            "add",   "add_",   "sub",        "sub_",     "mul",           "mul_",       "div",  "div_",
            "clamp", "pow",    "neg",        "clone",    "dropout",       "detach",     "to",   "contiguous",
            "float", "double", "type_as",    "hardtanh", "instance_norm", "batch_norm", "rsub", "abs"})) {
      Hint hint = of(node->output(), depth);
      hint.element_type = is({"to", "float", "double", "type_as"}) ? 0 : hint.element_type;
      return hint;
    }
    if (is({"split_with_sizes"})) {
      const auto sizes = fixed_.integers(node->input(1));
      const auto axis = fixed_.integer(node->input(2));
      if (!sizes || !axis) return {};
      int64_t total = 0;
      for (const int64_t size : *sizes) total += size;
      return split(node, *axis, total, depth);
    }
    if (is({"slice"})) {
      const auto axis = fixed_.integer(node->input(1));
      const auto start = fixed_.integer(node->input(2));
      const auto end = fixed_.integer(node->input(3));
      Hint part = of(node->output(), depth);
      if (!axis || !part || *axis < 0 || *axis >= static_cast<int64_t>(part.shape.size())) return part;
      int64_t& size = part.shape[static_cast<size_t>(*axis)];
      if (*axis == 0)
        size = -1;
      else if (end && *end > 0 && *end < (int64_t{1} << 40))
        size = std::max(size, *end);
      else if (size > 0)
        size += start.value_or(0);
      return part;
    }
    if (is({"unsqueeze"})) {
      const auto axis = fixed_.integer(node->input(1));
      Hint hint = of(node->output(), depth);
      const int64_t at = axis ? (*axis < 0 ? *axis + static_cast<int64_t>(hint.shape.size()) : *axis) : -1;
      if (!hint || at < 0 || at >= static_cast<int64_t>(hint.shape.size())) return {};
      hint.shape.erase(hint.shape.begin() + at);
      return hint.shape.empty() ? Hint{} : hint;
    }
    if (is({"view", "reshape"})) {
      // [-1, 96, 4, 4] of a latent: rows of that many numbers.
      const auto sizes = fixed_.integers(node->input(1));
      if (!sizes || sizes->size() < 2) return {};
      int64_t row = 1;
      for (size_t i = 1; i < sizes->size(); ++i) row *= (*sizes)[i] > 0 ? (*sizes)[i] : 0;
      return row > 0 && (*sizes)[0] <= 1 ? Hint{{-1, row}} : Hint{};
    }
    return {};
  }

  const Fixed& fixed_;
};

}  // namespace

void hint_shapes(tr0n_torch_model& model) {
  try {
    const auto method = model.module.get_method("forward");
    const auto graph = method.graph()->copy();
    torch::jit::Inline(*graph);
    const Fixed fixed(model.module, graph->inputs().at(0));
    const Tracer tracer(fixed);
    bool real_is_double = false;
    for (const auto& parameter : model.module.parameters())
      real_is_double = real_is_double || parameter.scalar_type() == at::kDouble;
    for (Input& input : model.inputs) {
      Hint hint;
      for (const Value* value : values_of(input, *graph, fixed)) {
        hint = tracer.of(value);
        if (hint) break;
      }
      if (!hint) continue;
      hint.shape[0] = -1;
      input.known_rank = true;
      input.shape = std::move(hint.shape);
      // What a weight is multiplied with has its type.
      input.element_type = hint.element_type;
      if (input.element_type == 0 && real_is_double) input.element_type = element_type(at::kDouble);
    }
  } catch (const std::exception&) {
    // A graph of a form that is not known tells nothing.
    return;
  }
}

}  // namespace tr0n::torchscript
