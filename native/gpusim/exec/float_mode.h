// Runs handlers in the mode of rounding that an instruction asks for.
#pragma once

#include <immintrin.h>

#include "decode/mxcsr.h"
#include "exec/warp.h"

namespace winnow::gpusim {

// Runs the handler in the mode that the instruction's immediate holds. The handler's loads and stores cannot move past
// the asm statements, so its arithmetic happens in between.
template <Handler H>
void in_mode(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  _mm_setcsr(static_cast<unsigned>(instruction.immediate));
  asm volatile("" ::: "memory");
  H(warp, instruction, lanes);
  asm volatile("" ::: "memory");
  _mm_setcsr(kNearest);
}

// Returns H itself if the instruction rounds to nearest and keeps denormals, so the common case pays nothing.
template <Handler H>
Handler with_mode(const Match& m) {
  return mxcsr(m) == kNearest ? H : in_mode<H>;
}

}  // namespace winnow::gpusim
