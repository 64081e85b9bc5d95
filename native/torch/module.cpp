#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <atomic>

#include "torch/deep_stack.h"
#include "torch/errors.h"
#include "torch/features.h"
#include "torch/interruption.h"
#include "torch/kept_memory.h"
#include "torch/model.h"
#include "torch/tape.h"
#include "torch/threads.h"

namespace tr0n::torchscript {
namespace {

/// Models that are there; memory is kept for as long as there is one.
std::atomic<int> models{0};

int32_t cuda_devices() {
  try {
    return static_cast<int32_t>(torch::cuda::device_count());
  } catch (...) {
    return 0;
  }
}

int open(const void* bytes, uint64_t size, const char* name, int32_t device, int32_t trusted,
         const tr0n_torch_cancel* cancel, tr0n_torch_model** model, const tr0n_torch_errors* errors) {
  return guard(errors, name, "ERR_MODEL_INVALID", "libtorch refuses the model", [&] {
    on_deep_stack([&] {
      bound_threads(1);
      Interruptible(cancel).run(
          [&] { *model = open_model(bytes, size, name, device, trusted != 0).release(); });
    });
    models.fetch_add(1);
  });
}

void release_model(tr0n_torch_model* model) {
  delete model;
  if (models.fetch_sub(1) == 1) release_kept_memory();
}

uint64_t parameter_bytes(const tr0n_torch_model* model) { return model->parameter_bytes; }

int32_t input_count(const tr0n_torch_model* model) { return static_cast<int32_t>(model->inputs.size()); }

void input(const tr0n_torch_model* model, int32_t index, tr0n_torch_value_info* info) {
  const Input& source = model->inputs[static_cast<size_t>(index)];
  info->name = source.name.c_str();
  info->shape = source.shape.data();
  info->rank = source.known_rank ? static_cast<int32_t>(source.shape.size()) : -1;
  info->element_type = source.element_type;
}

const char* summary(const tr0n_torch_model* model) { return model->summary.c_str(); }

int derive(const tr0n_torch_model* model, const char* output, const char* features,
           tr0n_torch_model** derived, const tr0n_torch_errors* errors) {
  return guard(errors, model->name, "ERR_MODEL_UNSUPPORTED", "its features cannot be had", [&] {
    *derived = with_features(*model, output, features).release();
    models.fetch_add(1);
  });
}

int run_model(const tr0n_torch_model* model, const tr0n_torch_tensor* inputs, int32_t count, int32_t threads,
              int32_t flags, const tr0n_torch_cancel* cancel, tr0n_torch_tape** tape,
              const tr0n_torch_errors* errors) {
  return guard(errors, model->name, "ERR_RUN_FAILED", "forward() failed", [&] {
    bound_threads(threads);
    Interruptible(cancel).run([&] { *tape = run(*model, inputs, count, flags).release(); });
  });
}

int32_t output_count(const tr0n_torch_tape* tape) { return static_cast<int32_t>(tape->outputs.size()); }

void output(const tr0n_torch_tape* tape, int32_t index, tr0n_torch_value_info* info, const void** data) {
  const tr0n_torch_tape::Output& source = tape->outputs[static_cast<size_t>(index)];
  info->name = source.name.c_str();
  info->shape = source.dense.sizes().data();
  info->rank = static_cast<int32_t>(source.dense.dim());
  info->element_type = element_type(source.dense.scalar_type());
  *data = source.dense.data_ptr();
}

void work(const tr0n_torch_tape* tape, double* flops, double* operators) {
  *flops = tape->work.flops;
  *operators = tape->work.operators;
}

int run_backward(tr0n_torch_tape* tape, const tr0n_torch_tensor* cotangents, int32_t threads, int32_t keep,
                 const tr0n_torch_tensor* gradients, const tr0n_torch_cancel* cancel,
                 const tr0n_torch_errors* errors) {
  return guard(errors, tape->model->name, "ERR_RUN_FAILED", "the backward pass failed", [&] {
    bound_threads(threads);
    Interruptible(cancel).run([&] { backward(*tape, cotangents, keep != 0, gradients); });
  });
}

void release_tape(tr0n_torch_tape* tape) { delete tape; }

}  // namespace
}  // namespace tr0n::torchscript

extern "C" __attribute__((visibility("default"))) const tr0n_torch_api* tr0n_torch_get_api(uint32_t version) {
  using namespace tr0n::torchscript;
  if (version != TR0N_TORCH_API_VERSION) return nullptr;
  static const tr0n_torch_api api = {
      TR0N_TORCH_API_VERSION,
      TORCH_VERSION,
      cuda_devices,
      open,
      release_model,
      parameter_bytes,
      input_count,
      input,
      summary,
      derive,
      run_model,
      output_count,
      output,
      work,
      run_backward,
      release_tape,
      release_kept_memory,
  };
  static const bool prepared = (prepare_threads(), prepare_interruption(), keep_memory(), true);
  static_cast<void>(prepared);
  return &api;
}
