#include "bridge/placed_copy.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "bridge/placed_tensor.h"
#include "device/device.h"

namespace tr0n {

void copy_floats(float* to, const Place& there, const float* from, const Place& here, size_t count) {
  const size_t bytes = count * sizeof(float);
  if (bytes == 0) return;
  if (there.is_host() && here.is_host()) {
    std::memcpy(to, from, bytes);
  } else if (here.is_host()) {
    there.device->upload(to, from, bytes);
    count_to_device(bytes);
  } else if (there.is_host()) {
    here.device->download(to, from, bytes);
    count_to_host(bytes);
  } else if (here == there) {
    here.device->copy(to, from, bytes);
  } else {
    throw Error("ERR_INTERNAL", "values go from one device to another through the host");
  }
}

void repeat_row(float* rows, const Place& place, size_t size, size_t from, size_t times) {
  float* const target = rows + (from + 1) * size;
  // Each copy doubles what is there.
  for (size_t done = 0; done < times;) {
    const size_t count = done == 0 ? 1 : std::min(done, times - done);
    copy_floats(target + done * size, place, done == 0 ? rows + from * size : target, place, count * size);
    done += count;
  }
}

}  // namespace tr0n
