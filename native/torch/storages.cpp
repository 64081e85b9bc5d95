#include "torch/storages.h"

#include <caffe2/serialize/inline_container.h>

#include <optional>

#include "torch/errors.h"

namespace tr0n::torchscript {
namespace {

using pickle::Node;
using Kind = Node::Kind;

constexpr size_t kMostAxes = 64;  // libtorch's own bound in many operators

[[noreturn]] void damaged(const std::string& place, const std::string& what) {
  throw Damaged(place + ": " + what);
}

/// Type of the elements of "torch FloatStorage" and the like, and the type that has the same bits without
/// meaning.
struct Element {
  const char* name;
  c10::ScalarType type;
  c10::ScalarType bits;
};
constexpr Element kElements[] = {
    {"torch ByteStorage", at::kByte, at::kByte},
    {"torch CharStorage", at::kChar, at::kChar},
    {"torch ShortStorage", at::kShort, at::kShort},
    {"torch IntStorage", at::kInt, at::kInt},
    {"torch LongStorage", at::kLong, at::kLong},
    {"torch HalfStorage", at::kHalf, at::kHalf},
    {"torch BFloat16Storage", at::kBFloat16, at::kBFloat16},
    {"torch FloatStorage", at::kFloat, at::kFloat},
    {"torch DoubleStorage", at::kDouble, at::kDouble},
    {"torch ComplexHalfStorage", at::kComplexHalf, at::kComplexHalf},
    {"torch ComplexFloatStorage", at::kComplexFloat, at::kComplexFloat},
    {"torch ComplexDoubleStorage", at::kComplexDouble, at::kComplexDouble},
    {"torch BoolStorage", at::kBool, at::kBool},
    {"torch QInt8Storage", at::kQInt8, at::kChar},
    {"torch QUInt8Storage", at::kQUInt8, at::kByte},
    {"torch QInt32Storage", at::kQInt32, at::kInt},
};

const Element& element(const Node& global, const std::string& place) {
  for (const Element& each : kElements)
    if (global.is_global(each.name)) return each;
  throw Failure("ERR_MODEL_UNSUPPORTED",
                place + ": a tensor of elements that tr0n does not know: " + std::string(global.text));
}

int64_t integer(const Node& node, const std::string& place) {
  if (!node.is(Kind::integer)) damaged(place, "expected an integer");
  return node.integer;
}

std::vector<int64_t> integers(const Node& node, const std::string& place) {
  if (!node.is(Kind::tuple)) damaged(place, "expected a tuple of integers");
  std::vector<int64_t> values;
  for (const Node* item : node.items) values.push_back(integer(*item, place));
  return values;
}

std::string text_of(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(values[i]);
  return text + "]";
}

/// One past the last element that the tensor reaches, from the storage's beginning; null where that is no
/// number.
std::optional<int64_t> reach(int64_t offset, const std::vector<int64_t>& sizes,
                             const std::vector<int64_t>& strides) {
  int64_t last = offset, elements = 1;
  bool empty = false;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    int64_t step = 0;
    if (sizes[axis] < 0 || strides[axis] < 0) return std::nullopt;
    empty = empty || sizes[axis] == 0;
    if (sizes[axis] == 0) continue;
    if (__builtin_mul_overflow(elements, sizes[axis], &elements) ||
        __builtin_mul_overflow(sizes[axis] - 1, strides[axis], &step) ||
        __builtin_add_overflow(last, step, &last))
      return std::nullopt;
  }
  // Bytes, too, must be countable: of the numbers that a tensor repeats with a stride of 0 as well.
  if (elements > INT64_MAX / 16 || last > INT64_MAX / 16) return std::nullopt;
  return empty ? offset : last + 1;
}

}  // namespace

bool Storages::makes_tensor(const Node& call) {
  if (!call.is(Kind::call)) return false;
  for (const char* name : {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_qtensor",
                           "torch._utils _rebuild_sparse_tensor"})
    if (call.items[0]->is_global(name)) return true;
  return false;
}

at::Tensor Storages::tensor(const Node& call, const std::string& place) {
  const at::Tensor made = make(call, place);
  return device_.is_cpu() ? made : made.to(device_);
}

at::Tensor Storages::make(const Node& call, const std::string& place) {
  const Node& arguments = *call.items[1];
  if (!arguments.is(Kind::tuple)) damaged(place, "expected the arguments of a tensor");
  if (call.items[0]->is_global("torch._utils _rebuild_sparse_tensor")) return sparse(arguments, place);
  return dense(arguments, call.items[0]->is_global("torch._utils _rebuild_qtensor"), place);
}

at::Tensor Storages::dense(const Node& arguments, bool quantized, const std::string& place) {
  // storage, offset, sizes, strides, (how it is quantized,) requires_grad, hooks, and bits that newer
  // versions have.
  const size_t after = quantized ? 5 : 4;
  if (arguments.items.size() < after + 2 || arguments.items.size() > after + 3 ||
      !arguments.items[0]->is(Kind::storage) || !arguments.items[after]->is(Kind::boolean))
    damaged(place, "expected the arguments of a tensor");
  if (arguments.items.size() == after + 3 && !arguments.items.back()->is(Kind::none) &&
      !arguments.items.back()->items.empty())
    throw Failure("ERR_MODEL_UNSUPPORTED", place +
                                               ": a tensor that is negated or conjugated lazily; export " +
                                               "tensor.resolve_neg().resolve_conj() in its place");
  const Node& source = *arguments.items[0];
  const Element& type = element(*source.items[1], place);
  if (quantized != (type.type != type.bits))
    damaged(place, "a quantized tensor of other elements, or the reverse");
  const std::string key(source.items[2]->text);
  const int64_t declared = source.items[4]->integer;
  const int64_t offset = integer(*arguments.items[1], place);
  const std::vector<int64_t> sizes = integers(*arguments.items[2], place);
  const std::vector<int64_t> strides = integers(*arguments.items[3], place);
  if (sizes.size() != strides.size() || sizes.size() > kMostAxes)
    damaged(place, "sizes " + text_of(sizes) + " with strides " + text_of(strides));
  const auto end = offset < 0 ? std::nullopt : reach(offset, sizes, strides);
  if (declared < 0 || !end || *end > declared)
    damaged(place, "a tensor of sizes " + text_of(sizes) + " and strides " + text_of(strides) +
                       " from element " + std::to_string(offset) + " does not fit its storage \"" + key +
                       "\" of " + std::to_string(declared) + " elements");
  const auto width = static_cast<int64_t>(c10::elementSize(type.bits));
  const auto options = at::TensorOptions().dtype(type.bits);
  at::Tensor numbers = at::empty({0}, options);
  if (declared > 0) {
    const c10::Storage& bytes = storage(key, place);
    if (declared > static_cast<int64_t>(bytes.nbytes()) / width)
      damaged(place, "its storage \"" + folder_ + "/" + key + "\" has " + std::to_string(bytes.nbytes()) +
                         " bytes, expected " + std::to_string(declared) + " elements of " +
                         std::to_string(width));
    // Other bytes than 0 and 1 are no booleans, and code that relies on it would do anything with them.
    if (type.type == at::kBool) {
      auto* byte = static_cast<uint8_t*>(at::empty({0}, at::kByte).set_(bytes).data_ptr());
      for (size_t i = 0; i < bytes.nbytes(); ++i) byte[i] = byte[i] != 0;
    }
    numbers.set_(bytes, offset, sizes, strides);
  } else {
    numbers = at::empty_strided(sizes, strides, options);
  }
  if (quantized) numbers = quantize(numbers, *arguments.items[4], place);
  if (arguments.items[after]->integer != 0 && (numbers.is_floating_point() || numbers.is_complex()))
    numbers.set_requires_grad(true);
  return numbers;
}

at::Tensor Storages::quantize(const at::Tensor& numbers, const Node& how, const std::string& place) {
  if (!how.is(Kind::tuple) || how.items.empty() || !how.items[0]->is(Kind::global))
    damaged(place, "expected how it is quantized");
  const std::string_view scheme = how.items[0]->text;
  if (scheme == "torch per_tensor_affine" && how.items.size() == 3 && how.items[1]->is(Kind::real))
    return at::_make_per_tensor_quantized_tensor(numbers, how.items[1]->real, integer(*how.items[2], place));
  if ((scheme == "torch per_channel_affine" || scheme == "torch per_channel_affine_float_qparams") &&
      how.items.size() == 4 && makes_tensor(*how.items[1]) && makes_tensor(*how.items[2])) {
    const at::Tensor scales = make(*how.items[1], place), zeros = make(*how.items[2], place);
    const int64_t axis = integer(*how.items[3], place);
    if (axis < 0 || axis >= numbers.dim() || scales.dim() != 1 || zeros.dim() != 1 ||
        scales.size(0) != numbers.size(axis) || zeros.size(0) != numbers.size(axis))
      damaged(place, "scales and zero points that do not fit the axis they are of");
    return at::_make_per_channel_quantized_tensor(numbers, scales, zeros, axis);
  }
  throw Failure(
      "ERR_MODEL_UNSUPPORTED",
      place + ": a tensor that is quantized in a way that tr0n does not know: " + std::string(scheme));
}

at::Tensor Storages::sparse(const Node& arguments, const std::string& place) {
  constexpr int64_t kCoordinates = 1;  // c10::Layout::Sparse
  if (arguments.items.size() < 1 || !arguments.items[0]->is(Kind::integer))
    damaged(place, "expected the layout of a sparse tensor");
  if (arguments.items[0]->integer != kCoordinates)
    throw Failure("ERR_MODEL_UNSUPPORTED", place + ": a sparse tensor of another layout than coordinates");
  // layout, sizes, requires_grad, indices, values, and hooks
  if (arguments.items.size() < 5 || !makes_tensor(*arguments.items[3]) || !makes_tensor(*arguments.items[4]))
    damaged(place, "expected the arguments of a sparse tensor");
  // Checks indices against sizes.
  return at::sparse_coo_tensor(make(*arguments.items[3], place), make(*arguments.items[4], place),
                               integers(*arguments.items[1], place));
}

const c10::Storage& Storages::storage(const std::string& key, const std::string& place) {
  const auto found = storages_.find(key);
  if (found != storages_.end()) return found->second;
  const std::string name = folder_ + "/" + key;
  if (!archive_.hasRecord(name)) damaged(place, "its storage \"" + name + "\" is missing");
  auto [data, size] = archive_.getRecord(name);
  c10::Storage made(c10::Storage::use_byte_size_t(), size, std::move(data), /*allocator=*/nullptr,
                    /*resizable=*/false);
  return storages_.emplace(key, std::move(made)).first->second;
}

}  // namespace tr0n::torchscript
