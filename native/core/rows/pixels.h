#pragma once
#include <cstddef>
#include <cstdint>

#include "base/cancel.h"

namespace tr0n {

/// Images [n, channels, height, width] side by side in one picture of 8-bit RGB, row by row of the picture;
/// every pixel becomes scale × scale, `gap` pixels lie between images and around all of them.
struct SheetLayout {
  size_t n, channels, height, width;  ///< channels: 1 (grey) or 3
  size_t columns, gap, scale;
  size_t sheet_width, sheet_height;
  uint8_t background[3];
  double low, high;  ///< black and white
};

/// sheet [sheet_height, sheet_width, 3]: round(clamp((x − low)/(high − low), 0, 1)·255), halves up, in
/// double.
void draw_sheet(const float* images, const SheetLayout& layout, uint8_t* sheet, CancelToken& cancel);

/// pixels [height·width, 3] → planes [3, height·width], or their luma [height·width]: (p/255)·(high − low) +
/// low in double, rounded to float; luma 0.299, 0.587, 0.114 of those floats.
void pixels_to_floats(const uint8_t* pixels, size_t count, double low, double high, bool luma, float* out,
                      CancelToken& cancel);

}  // namespace tr0n
