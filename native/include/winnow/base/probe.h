// Measures this machine's limits, which benchmarks compare kernels with. java: org.winnow.cpu.Probe. On a shared
// machine the limits vary within minutes, so measure them next to each benchmark.
//
// With a team of one thread, the time is CPU time of the calling thread, which load from other processes does not
// lengthen. With a larger team, it is wall time.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

// Reads memory [size_bytes] once, front to back, each thread a part of it. Returns bytes per second. The memory should
// lie on huge pages (memory_allocate) and be several times larger than the last-level cache; otherwise the result is
// the cache's bandwidth.
double probe_read_bytes_per_second(const void* memory, int64_t size_bytes, Cpu* cpu);

// Returns f32 operations per second of fused multiply-adds on operands in registers (portable: a product and a sum). A
// multiplication and an addition count as one each. Every thread runs num_rounds rounds of 1024 steps per independent
// chain.
double probe_f32_operations_per_second(int64_t num_rounds, Cpu* cpu);

// The same for bf16 operands and f32 sums: vdpbf16ps on avx512_bf16, tdpbf16ps on amx_bf16. Other instruction sets have
// no bf16 arithmetic. They use operands that were widened to f32 before the loop, so the result is the f32 rate, an upper bound for loops
// that widen.
double probe_bf16_operations_per_second(int64_t num_rounds, Cpu* cpu);

}  // namespace winnow
