#pragma once
#include <torch/script.h>

#include <map>
#include <string>

#include "torch/pickle.h"

namespace caffe2::serialize {
class PyTorchStreamReader;
}

namespace tr0n::torchscript {

/// The tensors of an archive. libtorch's own reader believes what a pickle says of a tensor: how many numbers
/// its storage has, where in it the tensor begins, its sizes and strides. Here all of that is held against
/// the bytes that the archive has, before a tensor is made of it.
class Storages {
 public:
  /// Records lie under "FOLDER/": "data" or "constants".
  Storages(caffe2::serialize::PyTorchStreamReader& archive, std::string folder, c10::Device device)
      : archive_(archive), folder_(std::move(folder)), device_(device) {}

  /// Whether a call in a pickle stands for a tensor.
  static bool makes_tensor(const pickle::Node& call);
  /// On the device. `place` says in messages where it is. Throws Damaged; Failure for kinds of tensors that
  /// are not supported.
  at::Tensor tensor(const pickle::Node& call, const std::string& place);

 private:
  at::Tensor make(const pickle::Node& call, const std::string& place);
  at::Tensor dense(const pickle::Node& arguments, bool quantized, const std::string& place);
  at::Tensor quantize(const at::Tensor& numbers, const pickle::Node& how, const std::string& place);
  at::Tensor sparse(const pickle::Node& arguments, const std::string& place);
  const c10::Storage& storage(const std::string& key, const std::string& place);

  caffe2::serialize::PyTorchStreamReader& archive_;
  const std::string folder_;
  const c10::Device device_;
  std::map<std::string, c10::Storage> storages_;  ///< by key: tensors that shared memory share it again
};

}  // namespace tr0n::torchscript
