#pragma once
#include <stdint.h>

/// Between the addon and the module that contains libtorch: plain C, because the two may be built by
/// different compilers and with different standard libraries (PyTorch's wheels before 2.6 use the old C++
/// ABI). Nothing throws across it. A function that can fail returns 0, or non-zero after calling errors->fail
/// once with one of Tr0nError's codes and a message that begins with the model's name.
#ifdef __cplusplus
extern "C" {
#endif

#define TR0N_TORCH_API_VERSION 5u

typedef struct tr0n_torch_model tr0n_torch_model;
/// Tensors that libtorch owns: the outputs of a run, with what backward needs where it was recorded.
typedef struct tr0n_torch_tape tr0n_torch_tape;

typedef struct tr0n_torch_errors {
  void* context;
  void (*fail)(void* context, const char* code, const char* message);
} tr0n_torch_errors;

/// Says whether the caller turned away: asked from inside of a function, also from other threads, until it
/// returns.
typedef struct tr0n_torch_cancel {
  void* context;
  int (*cancelled)(void* context);
} tr0n_torch_cancel;

/// Dense, row-major. Element types by ONNX's numbers (ort::ElementType).
typedef struct tr0n_torch_tensor {
  void* data;
  const int64_t* shape;
  int32_t rank;
  int32_t element_type;
  int32_t device;  ///< -1: host memory; k: memory of CUDA device k, in its primary context
} tr0n_torch_tensor;

/// What the model says of an input, or what a run showed of an output.
typedef struct tr0n_torch_value_info {
  const char* name;
  const int64_t* shape;  ///< -1 where not known
  int32_t rank;          ///< -1 where not known
  int32_t element_type;  ///< 0 where not known
} tr0n_torch_value_info;

enum {
  TR0N_TORCH_RECORD = 1,     ///< keep what the gradient needs; without it the run is in inference mode
  TR0N_TORCH_ON_DEVICE = 2,  ///< outputs stay on the model's device; without it they come to host memory
  TR0N_TORCH_COUNT = 4,      ///< count the work
  TR0N_TORCH_SHAPES = 8      ///< only the outputs' shapes are wanted: numbers may be anything
};

typedef struct tr0n_torch_api {
  uint32_t version;
  const char* libtorch_version;

  /// CUDA devices that this libtorch can use; 0 where it was built without.
  int32_t (*cuda_devices)(void);

  /// Checks that the bytes are TorchScript, puts it in eval mode and freezes its parameters. The bytes are
  /// not needed afterwards. device: as in tr0n_torch_tensor. Code is held against the list of operators that
  /// only compute before any of it runs, unless it is `trusted`. Like run and backward it ends with
  /// ERR_ABORTED soon after `cancel` (which may be null) says so: at a loop's next iteration, a function's
  /// call, or the allocation of a tensor in host memory.
  int (*open_model)(const void* bytes, uint64_t size, const char* name, int32_t device, int32_t trusted,
                    const tr0n_torch_cancel* cancel, tr0n_torch_model** model,
                    const tr0n_torch_errors* errors);
  void (*release_model)(tr0n_torch_model* model);
  uint64_t (*parameter_bytes)(const tr0n_torch_model* model);
  int32_t (*input_count)(const tr0n_torch_model* model);
  /// The name by the schema of forward; shape and element type as far as the model's first operators and
  /// their weights tell: a hint, to be tried.
  void (*input)(const tr0n_torch_model* model, int32_t index, tr0n_torch_value_info* info);
  /// What the model's code tells, as JSON: see summary.h. Valid as long as the model.
  const char* (*summary)(const tr0n_torch_model* model);
  /// The model with features in front of an output, as one output "columns": see features.h. `features` may
  /// be empty. It shares the model's weights and may outlive it.
  int (*with_features)(const tr0n_torch_model* model, const char* output, const char* features,
                       tr0n_torch_model** derived, const tr0n_torch_errors* errors);

  /// Runs on the calling thread with at most `threads` intra-op threads. Inputs in the order of the schema.
  /// Those in host memory are copied; those in memory of the model's own device are used where they lie and
  /// must be ready, and a model that works on its input in place changes them. Several runs of one model may
  /// be under way at once. A tape does not outlive its model.
  int (*run)(const tr0n_torch_model* model, const tr0n_torch_tensor* inputs, int32_t count, int32_t threads,
             int32_t flags, const tr0n_torch_cancel* cancel, tr0n_torch_tape** tape,
             const tr0n_torch_errors* errors);
  int32_t (*output_count)(const tr0n_torch_tape* tape);
  /// Names and tensors of the outputs; valid until the tape is released.
  void (*output)(const tr0n_torch_tape* tape, int32_t index, tr0n_torch_value_info* info, const void** data);
  /// Operations of a run that was to be counted (two for each multiply-add, one for each element of anything
  /// else) and its operators; else 0.
  void (*work)(const tr0n_torch_tape* tape, double* flops, double* operators);
  /// Vector–Jacobian product of a recorded run. cotangents[k] belongs to output k (data null: zero) and has
  /// its shape. gradients[i] belongs to input i; written where its data is not null (shape of the input), as
  /// zeros where the outputs do not depend on it. Element types of both may differ from the model's: numbers
  /// are converted. `keep` leaves the tape as it is, for another backward; without it the activations are
  /// freed on the way and a second call fails.
  int (*backward)(tr0n_torch_tape* tape, const tr0n_torch_tensor* cotangents, int32_t threads, int32_t keep,
                  const tr0n_torch_tensor* gradients, const tr0n_torch_cancel* cancel,
                  const tr0n_torch_errors* errors);
  void (*release_tape)(tr0n_torch_tape* tape);

  /// Gives memory back that is kept for the next run; it goes by itself with the last model.
  void (*trim)(void);
} tr0n_torch_api;

/// The module's one exported function; null where the version is not supported.
const tr0n_torch_api* tr0n_torch_get_api(uint32_t version);

#ifdef __cplusplus
}
#endif
