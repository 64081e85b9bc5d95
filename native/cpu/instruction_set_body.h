/// The loops of instruction_set.h, for one instruction set. Included by instruction_set_*.cpp inside a region
/// that compiles for it, after a struct Vector: `lanes` floats with zero, load, store (aligned to the
/// vector's size), load_any, store_any (any address), broadcast (of a float in memory), fma (a·b + c), mul,
/// add, sub, div, sqrt, and Four, four floats that are transposed in registers.
///
/// Nothing of the standard library is called in here: an inline function compiled with these instructions
/// could be the copy that the linker keeps for everyone.

namespace tr0n {
namespace {

template <size_t Rows>
void tile(size_t depth, const float* a, const float* b, float* c, size_t ldc, bool load, const float* fetch,
          size_t fetch_stride) {
  constexpr size_t lanes = Vector::lanes, line = 16, ahead = 16;
  Vector::Type sum[Rows][2];
  TR0N_UNROLL
  for (size_t i = 0; i < Rows; ++i) {
    sum[i][0] = load ? Vector::load(c + i * ldc) : Vector::zero();
    sum[i][1] = load ? Vector::load(c + i * ldc + lanes) : Vector::zero();
  }
  for (size_t k = 0; k < depth; ++k, a += Rows, b += 2 * lanes, fetch += fetch_stride) {
    for (size_t i = 0; i < 2 * lanes; i += line) __builtin_prefetch(fetch + i);
    __builtin_prefetch(a + ahead * Rows);
    const Vector::Type left = Vector::load(b), right = Vector::load(b + lanes);
    TR0N_UNROLL
    for (size_t i = 0; i < Rows; ++i) {
      const Vector::Type factor = Vector::broadcast(a + i);
      sum[i][0] = Vector::fma(factor, left, sum[i][0]);
      sum[i][1] = Vector::fma(factor, right, sum[i][1]);
    }
  }
  TR0N_UNROLL
  for (size_t i = 0; i < Rows; ++i) {
    Vector::store(c + i * ldc, sum[i][0]);
    Vector::store(c + i * ldc + lanes, sum[i][1]);
  }
}

/// Blocks of 64 columns of the source: their transpose stays in the first-level cache while it is written in
/// pieces of four floats. The next block is fetched meanwhile: there are more lines than a processor's own
/// prefetching follows.
void pack_transposed(const float* from, size_t stride, size_t lines, size_t depth, size_t width, float* to) {
  constexpr size_t block = 64, line = 16;
  const size_t whole = lines & ~size_t{3};
  for (size_t k0 = 0; k0 < depth; k0 += block) {
    const size_t k1 = depth - k0 < block ? depth : k0 + block;
    const size_t k4 = k0 + ((k1 - k0) & ~size_t{3});
    for (size_t i = 0; i < whole; i += 4) {
      const float* source = from + i * stride;
      float* target = to + i;
      for (size_t l = 0; l < 4; ++l)
        for (size_t k = k0 + block; k < k0 + 2 * block; k += line)
          __builtin_prefetch(source + l * stride + k);
      for (size_t k = k0; k < k4; k += 4) {
        Vector::Four r0 = Vector::load4(source + k), r1 = Vector::load4(source + stride + k),
                     r2 = Vector::load4(source + 2 * stride + k), r3 = Vector::load4(source + 3 * stride + k);
        Vector::transpose4(r0, r1, r2, r3);
        Vector::store4(target + k * width, r0);
        Vector::store4(target + (k + 1) * width, r1);
        Vector::store4(target + (k + 2) * width, r2);
        Vector::store4(target + (k + 3) * width, r3);
      }
      for (size_t k = k4; k < k1; ++k)
        for (size_t l = 0; l < 4; ++l) target[k * width + l] = source[l * stride + k];
    }
    for (size_t k = k0; k < k1; ++k) {
      for (size_t i = whole; i < lines; ++i) to[k * width + i] = from[i * stride + k];
      for (size_t i = lines; i < width; ++i) to[k * width + i] = 0.0f;
    }
  }
}

void pack(const float* from, size_t stride, size_t lines, size_t depth, size_t width, size_t panel_stride,
          float* to) {
  constexpr size_t lanes = Vector::lanes, ahead = 8, line = 16;
  for (size_t k = 0; k < depth; ++k, from += stride, to += width) {
    for (size_t j = 0; j < lines; j += line) __builtin_prefetch(from + ahead * stride + j);
    float* panel = to;
    size_t j = 0;
    for (; j + width <= lines; j += width, panel += panel_stride) {
      if (width == 2 * lanes) {
        Vector::store(panel, Vector::load_any(from + j));
        Vector::store(panel + lanes, Vector::load_any(from + j + lanes));
      } else {
        for (size_t i = 0; i < width; ++i) panel[i] = from[j + i];
      }
    }
    if (j == lines) continue;
    for (size_t i = 0; i < width; ++i) panel[i] = j + i < lines ? from[j + i] : 0.0f;
  }
}

void finish_forward(size_t n, const float* sums, const float* bias, bool relu, const float* residual,
                    float* activated, float* y) {
  for (size_t j = 0; j < n; ++j) {
    float value = sums[j] + (bias != nullptr ? bias[j] : 0.0f);
    value = relu && value < 0.0f ? 0.0f : value;
    if (activated != nullptr) activated[j] = value;
    y[j] = residual != nullptr ? value + residual[j] : value;
  }
}

void finish_input(size_t n, const float* sums, const float* add, float* dx, const float* activated,
                  float* masked) {
  for (size_t j = 0; j < n; ++j) {
    const float value = add != nullptr ? add[j] + sums[j] : sums[j];
    if (dx != nullptr) dx[j] = value;
    if (masked != nullptr) masked[j] = activated[j] > 0.0f ? value : 0.0f;
  }
}

/// Sixteen partial sums, whatever the width of a vector.
double square_sum(const float* x, size_t n) {
  constexpr size_t lanes = 16;
  double sums[lanes] = {};
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane) {
      const double value = static_cast<double>(x[i + lane]);
      sums[lane] += value * value;
    }
  for (size_t lane = 0; i + lane < n; ++lane) {
    const double value = static_cast<double>(x[i + lane]);
    sums[lane] += value * value;
  }
  for (size_t half = lanes / 2; half > 0; half /= 2)
    for (size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  return sums[0];
}

void add_to(size_t n, const float* x, double* sums) {
  for (size_t j = 0; j < n; ++j) sums[j] += static_cast<double>(x[j]);
}

/// AdamFactors, each in all lanes.
struct AdamVectors {
  Vector::Type scale, keep1, add1, keep2, add2, step_size, root_factor, epsilon;
};

inline void adam_vector(const AdamVectors& f, const float* gradients, float* m, float* v, float* x) {
  using V = Vector;
  const V::Type g = V::mul(f.scale, V::load_any(gradients));
  const V::Type first = V::add(V::mul(f.keep1, V::load_any(m)), V::mul(f.add1, g));
  const V::Type second = V::add(V::mul(f.keep2, V::load_any(v)), V::mul(V::mul(f.add2, g), g));
  const V::Type root = V::add(V::mul(V::sqrt(second), f.root_factor), f.epsilon);
  const V::Type step = V::div(V::mul(f.step_size, first), root);
  V::store_any(m, first);
  V::store_any(v, second);
  V::store_any(x, V::sub(V::load_any(x), step));
}

void adam(const AdamFactors& f, size_t n, const float* gradients, float* m, float* v, float* x) {
  using V = Vector;
  constexpr size_t lanes = V::lanes, line = 16, ahead = 256;
  const AdamVectors vectors{V::broadcast(&f.scale),       V::broadcast(&f.keep1),  V::broadcast(&f.add1),
                            V::broadcast(&f.keep2),       V::broadcast(&f.add2),   V::broadcast(&f.step_size),
                            V::broadcast(&f.root_factor), V::broadcast(&f.epsilon)};
  size_t i = 0;
  for (; i + line <= n; i += line) {
    __builtin_prefetch(m + i + ahead, 1);
    __builtin_prefetch(v + i + ahead, 1);
    __builtin_prefetch(x + i + ahead, 1);
    TR0N_UNROLL
    for (size_t j = 0; j < line; j += lanes)
      adam_vector(vectors, gradients + i + j, m + i + j, v + i + j, x + i + j);
  }
  for (; i < n; i += lanes) {
    // The rest goes through whole vectors, so that every element is treated alike.
    float rest[4][lanes] = {};
    const size_t count = n - i < lanes ? n - i : lanes;
    for (size_t j = 0; j < count; ++j) {
      rest[0][j] = gradients[i + j];
      rest[1][j] = m[i + j];
      rest[2][j] = v[i + j];
      rest[3][j] = x[i + j];
    }
    adam_vector(vectors, rest[0], rest[1], rest[2], rest[3]);
    for (size_t j = 0; j < count; ++j) {
      m[i + j] = rest[1][j];
      v[i + j] = rest[2][j];
      x[i + j] = rest[3][j];
    }
  }
}

template <size_t Rows>
constexpr auto tile_or_null()
    -> void (*)(size_t, const float*, const float*, float*, size_t, bool, const float*, size_t) {
  if constexpr (Rows <= Vector::rows)
    return tile<Rows>;
  else
    return nullptr;
}

constexpr InstructionSet kInstructionSet{
    Vector::name,
    Vector::rows,
    2 * Vector::lanes,
    {tile_or_null<1>(), tile_or_null<2>(), tile_or_null<3>(), tile_or_null<4>(), tile_or_null<5>(),
     tile_or_null<6>(), tile_or_null<7>(), tile_or_null<8>(), tile_or_null<9>(), tile_or_null<10>(),
     tile_or_null<11>(), tile_or_null<12>()},
    pack_transposed,
    pack,
    finish_forward,
    finish_input,
    square_sum,
    add_to,
    adam,
};

}  // namespace
}  // namespace tr0n
