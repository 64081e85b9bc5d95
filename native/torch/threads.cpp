#include "torch/threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

namespace tr0n::torchscript {

void bound_threads(int threads) {
  // get_num_threads() first: a thread's first look sets it to the process's default, over what was set here.
  if (at::get_num_threads() != threads) at::set_num_threads(threads);
}

void prepare_threads() {
  // The handle of this module: its lookup covers what the module was linked with, which the process's does
  // not.
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&prepare_threads), &self) != 0 && self.dli_fname) {
    if (void* module = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD)) {
      using SetThreads = void (*)(int);
      if (void* symbol = dlsym(module, "openblas_set_num_threads")) reinterpret_cast<SetThreads>(symbol)(1);
      dlclose(module);
    }
  }
  // For forks inside of models; the default would be a thread for each processor.
  at::set_num_interop_threads(1);
}

}  // namespace tr0n::torchscript
