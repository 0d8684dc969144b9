// The limits of this machine, measured: what kernels are judged by. java: org.winnow.cpu.Probe. Run them beside what is
// judged: on a shared machine the limits move from minute to minute.
//
// Times are CPU time of the calling thread on a team of one, which other load does not lengthen, and wall time on a
// larger team.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

// Reads memory [size_bytes] once, front to back, each thread a part of it; returns bytes per second. Memory should lie
// on huge pages (memory_allocate) and be several times the last cache, or what is measured is a cache.
double probe_read_bytes_per_second(const void* memory, int64_t size_bytes, Cpu* cpu);

// f32 operations per second, a multiplication and an addition each counted, of fused multiply-adds (portable: a product
// and a sum) whose operands stay in registers: num_rounds rounds of 1024 per independent chain on every thread.
double probe_f32_operations_per_second(int64_t num_rounds, Cpu* cpu);

// The same for bf16 operands and f32 sums: vdpbf16ps on avx512_bf16. Other instruction sets have no bf16 arithmetic:
// operands that were widened to f32 before the loop, so the f32 rate, which no loop that also widens them can exceed.
double probe_bf16_operations_per_second(int64_t num_rounds, Cpu* cpu);

}  // namespace winnow
