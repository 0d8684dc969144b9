#pragma once

#include "decode/encoder.h"

namespace winnow::gpusim {

// Gives every register a place in the warp's registers and writes it into all slots. Registers that are never live
// together share a place, so that a warp's registers fit the nearest caches. Liveness along one thread's path is
// enough: lanes are independent and writes are masked.
void assign_registers(Decoding& decoding);

}  // namespace winnow::gpusim
