// What every device offers that there are kernels for, and what launch headers share.
//
// A launch header `<op>/<op>_launch.h` has the numbers that an operation's kernels and its launches must agree on. nvcc,
// C++ compilers and GenerateLaunch.java read it; the latter writes org.winnow.cuda.<Op>Launch. So it holds nothing but
// comments, includes of other launch headers, and, in namespace winnow,
//   constexpr int kName = expression;                                       static final int NAME
//   WINNOW_DEVICE constexpr int64_t name(int64_t a, ...) { return ...; }    static long name(long a, ...)
//   struct NameExtras { type field; ... };   what a kernel takes beside the contract's arguments: a method that packs it
//   struct Name { type field; ... };         what kernels leave in memory: the offsets of its fields
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

// Dynamic shared memory that a block may have: of every device from compute capability 8.0 on, and without asking.
constexpr int kMaxSharedBytes = 99 << 10;
constexpr int kDefaultSharedBytes = 48 << 10;

// Blocks of a grid along y and z.
constexpr int kMaxGridY = 65535;

}  // namespace winnow
