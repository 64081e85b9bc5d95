#include "core/rows/pixels.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"

namespace tr0n {
namespace {

/// Picture rows, or pixels by the thousand, between two looks at the token.
constexpr size_t kBlock = 64;

uint8_t to_byte(float x, double low, double high) {
  const double share = std::min(1.0, std::max(0.0, (static_cast<double>(x) - low) / (high - low)));
  const double value = share * 255, below = std::floor(value);
  return static_cast<uint8_t>(value - below >= 0.5 ? below + 1 : below);
}

}  // namespace

void draw_sheet(const float* images, const SheetLayout& o, uint8_t* sheet, CancelToken& cancel) {
  const size_t plane = o.height * o.width, cell_width = o.width * o.scale + o.gap,
               cell_height = o.height * o.scale + o.gap, size = o.channels * plane;
  const auto draw_row = [&](size_t y) {
    uint8_t* out = sheet + 3 * y * o.sheet_width;
    for (size_t x = 0; x < o.sheet_width; ++x) std::copy_n(o.background, 3, out + 3 * x);
    if (y < o.gap) return;
    const size_t row = (y - o.gap) / cell_height, inside = (y - o.gap) % cell_height;
    if (inside >= o.height * o.scale) return;
    for (size_t column = 0; column < o.columns && row * o.columns + column < o.n; ++column) {
      const float* image = images + (row * o.columns + column) * size + inside / o.scale * o.width;
      uint8_t* to = out + 3 * (o.gap + column * cell_width);
      for (size_t x = 0; x < o.width; ++x)
        for (size_t k = 0; k < 3; ++k) {
          const uint8_t byte = to_byte(image[(o.channels == 3 ? k : 0) * plane + x], o.low, o.high);
          for (size_t copy = 0; copy < o.scale; ++copy) to[3 * (x * o.scale + copy) + k] = byte;
        }
    }
  };
  for (size_t at = 0; at < o.sheet_height; at += kBlock) {
    cancel.throw_if_cancelled();
    for_ranges(std::min(kBlock, o.sheet_height - at), 12 * o.sheet_width, [&](size_t begin, size_t end) {
      for (size_t y = at + begin; y < at + end; ++y) draw_row(y);
    });
  }
}

void pixels_to_floats(const uint8_t* pixels, size_t count, double low, double high, bool luma, float* out,
                      CancelToken& cancel) {
  const auto value = [=](uint8_t p) {
    return static_cast<float>((static_cast<double>(p) / 255) * (high - low) + low);
  };
  constexpr size_t block = kBlock * 4096;
  for (size_t at = 0; at < count; at += block) {
    cancel.throw_if_cancelled();
    for_ranges(std::min(block, count - at), 6, [&](size_t begin, size_t end) {
      for (size_t i = at + begin; i < at + end; ++i) {
        const float rgb[3] = {value(pixels[3 * i]), value(pixels[3 * i + 1]), value(pixels[3 * i + 2])};
        if (luma) {
          out[i] =
              static_cast<float>(0.299 * static_cast<double>(rgb[0]) + 0.587 * static_cast<double>(rgb[1]) +
                                 0.114 * static_cast<double>(rgb[2]));
        } else {
          for (size_t k = 0; k < 3; ++k) out[k * count + i] = rgb[k];
        }
      }
    });
  }
}

}  // namespace tr0n
