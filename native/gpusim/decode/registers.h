#pragma once

#include "decode/encoder.h"

namespace winnow::gpusim {

// Gives every register a place among the warp's and writes it into all slots. Registers that are never live together share one: a
// warp's registers then fit the nearest caches. The lanes of a register are independent and writes are masked, so that what holds for
// one thread's path through the code holds for the warp.
void assign_registers(Decoding& decoding);

}  // namespace winnow::gpusim
