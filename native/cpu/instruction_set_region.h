#pragma once
/// A region of a file that is compiled for other instructions than the rest of the program, which runs on any
/// processor of the architecture: flags of the build would have to be kept in step in every build system.

#if defined(__x86_64__) && defined(__GNUC__)
#define TR0N_X86
#endif

#define TR0N_PRAGMA(...) _Pragma(#__VA_ARGS__)
#if defined(__clang__)
#define TR0N_INSTRUCTIONS_BEGIN(instructions) \
  TR0N_PRAGMA(clang attribute push(__attribute__((target(instructions))), apply_to = function))
#define TR0N_INSTRUCTIONS_END TR0N_PRAGMA(clang attribute pop)
#define TR0N_UNROLL TR0N_PRAGMA(clang loop unroll(full))
#else
#define TR0N_INSTRUCTIONS_BEGIN(instructions) \
  TR0N_PRAGMA(GCC push_options) TR0N_PRAGMA(GCC target(instructions))
#define TR0N_INSTRUCTIONS_END TR0N_PRAGMA(GCC pop_options)
#define TR0N_UNROLL TR0N_PRAGMA(GCC unroll 16)
#endif
