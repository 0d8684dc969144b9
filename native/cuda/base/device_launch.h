// Limits of every supported device, and definitions shared by launch headers.
//
// A launch header `<op>/<op>_launch.h` defines the numbers that an operation's kernels and its launches must agree on.
// nvcc and C++ compilers read it, and GenerateLaunch.java generates org.winnow.cuda.<Op>Launch from it. It may contain
// only comments, includes of other launch headers, and, in namespace winnow,
//   constexpr int kName = expression;                                       static final int NAME
//   WINNOW_DEVICE constexpr int64_t name(int64_t a, ...) { return ...; }    static long name(long a, ...)
//   struct NameExtras { type field; ... };   a kernel's arguments beside the contract's; becomes a method that packs it
//   struct Name { type field; ... };         what kernels write to memory; becomes the offsets of its fields
// A type is int32_t, int64_t, uint64_t or a pointer; expressions are those that C++ and Java share.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define WINNOW_DEVICE __host__ __device__
#else
#define WINNOW_DEVICE
#endif

namespace winnow {

constexpr int kWarpSize = 32;

// Dynamic shared memory per block that every device of compute capability 8.0 or later supports.
constexpr int kMaxSharedBytes = 99 << 10;
constexpr int kDefaultSharedBytes = 48 << 10;

// Blocks of a grid along y and z.
constexpr int kMaxGridY = 65535;

}  // namespace winnow
