// Rounding and flushing of denormals as the processor's MXCSR register holds them.
#pragma once

#include "decode/form.h"

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

}  // namespace winnow::gpusim
