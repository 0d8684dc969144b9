// Rounding and flushing of denormals as the processor's MXCSR register holds them.
#pragma once

#include <immintrin.h>

#include "decode/form.h"
#include "exec/warp.h"

namespace winnow::gpusim {

constexpr unsigned kNearest = 0x1F80, kDown = 0x2000, kUp = 0x4000, kTowardsZero = 0x6000, kFlush = 0x8040;

inline unsigned mxcsr(const Match& m) {
  unsigned bits = kNearest;
  if (m.has(".rm")) bits |= kDown;
  if (m.has(".rp")) bits |= kUp;
  if (m.has(".rz")) bits |= kTowardsZero;
  if (m.has(".ftz")) bits |= kFlush;
  return bits;
}

// Runs the handler in the mode that the instruction's immediate holds. The handler's loads and stores cannot move past the asm
// statements, so its arithmetic happens in between.
template <Handler H>
void in_mode(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  _mm_setcsr(static_cast<unsigned>(instruction.immediate));
  asm volatile("" ::: "memory");
  H(warp, instruction, lanes);
  asm volatile("" ::: "memory");
  _mm_setcsr(kNearest);
}

// H as it is where the instruction rounds to nearest and keeps denormals: the common case pays nothing.
template <Handler H>
Handler with_mode(const Match& m) {
  return mxcsr(m) == kNearest ? H : in_mode<H>;
}

}  // namespace winnow::gpusim
