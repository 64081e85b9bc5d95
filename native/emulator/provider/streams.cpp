#include "emulator/provider/streams.h"

#include <memory>

#include "emulator/provider/gpu.h"
#include "emulator/provider/runtime.h"

namespace tr0n::provider {

using namespace tr0n::cuda;

namespace {

struct Notification final : SyncNotification {
  Notification(int gpu, CUstream stream_) : held(gpu), stream(stream_) {
    const Current current(gpu);
    driver(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    Release = [](SyncNotification* self) { delete static_cast<Notification*>(self); };
    Activate = [](SyncNotification* self) {
      return guarded([&] { static_cast<Notification*>(self)->record(); });
    };
    WaitOnDevice = [](SyncNotification* self, SyncStream* consumer) {
      return guarded([&] { static_cast<Notification*>(self)->wait(consumer); });
    };
    WaitOnHost = [](SyncNotification* self) {
      return guarded([&] { static_cast<Notification*>(self)->wait(); });
    };
  }
  ~Notification() {
    const Current current(held.gpu);
    cuEventDestroy_v2(event);
  }
  void record() const {
    const Current current(held.gpu);
    driver(cuEventRecord(event, stream), "cuEventRecord");
  }
  void wait(SyncStream* consumer) const {
    if (consumer == nullptr) return;
    const Current current(held.gpu);
    driver(
        cuStreamWaitEvent(static_cast<CUstream>(Runtime::get().api.SyncStream_GetHandle(consumer)), event, 0),
        "cuStreamWaitEvent");
  }
  void wait() const {
    const Current current(held.gpu);
    driver(cuEventSynchronize(event), "cuEventSynchronize");
  }
  const Held held;
  const CUstream stream;
  CUevent event = nullptr;
};

struct Stream final : SyncStreamTable {
  Stream(int gpu, CUstream user)
      : held(gpu), own(user == nullptr ? std::make_unique<OwnStream>(gpu) : nullptr) {
    handle = own != nullptr ? own->handle() : user;
    Release = [](SyncStreamTable* self) { delete static_cast<Stream*>(self); };
    GetHandle = [](SyncStreamTable* self) -> void* { return static_cast<Stream*>(self)->handle; };
    CreateNotification = [](SyncStreamTable* self, SyncNotification** made) {
      return guarded([&] {
        const auto& stream = *static_cast<Stream*>(self);
        *made = new Notification(stream.held.gpu, stream.handle);
      });
    };
    // Whose stream it is waits for it: as ONNX Runtime's CUDA provider does.
    Flush = [](SyncStreamTable* self) {
      return guarded([&] {
        const auto& stream = *static_cast<Stream*>(self);
        if (stream.own == nullptr) return;
        const Current current(stream.held.gpu);
        driver(cuStreamSynchronize(stream.handle), "cuStreamSynchronize");
      });
    };
    OnSessionRunEnd = [](SyncStreamTable*) -> Status* { return nullptr; };
  }
  const Held held;
  const std::unique_ptr<OwnStream> own;
  CUstream handle;
};

}  // namespace

SyncStreamTable* make_stream(int gpu, CUstream user) { return new Stream(gpu, user); }

}  // namespace tr0n::provider
