// Clamps values in place, NaN stays NaN. java: org.winnow.layer.Clamp.
//
//   values[i] = min(max(values[i], -limit), limit)   for i in [0, size)
//
//   values  [size] f32, overwritten
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void clamp_cpu(float* values, int64_t size, float limit, Cpu* cpu);

}  // namespace winnow
