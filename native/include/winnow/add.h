// The residual connection. java: org.winnow.layer.Add.
//
//   accumulator[i] += addend[i]   for i in [0, size)
//
//   accumulator  [size] f32
//   addend       [size] f32, may be accumulator itself
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void add_cpu(float* accumulator, const float* addend, int64_t size, Cpu* cpu);

}  // namespace winnow
