// The register-only and streaming loops of each instruction set.
#pragma once

#include <cstdint>

namespace winnow {

constexpr int64_t kProbeRoundLength = 1024;

struct ProbeLoops {
  double (*multiply_add)(int64_t num_rounds);  // returns a sum of the results, so that the work cannot be dropped
  int64_t operations_per_step;                 // all chains and lanes, products and sums
  uint64_t (*read)(const void* memory, int64_t size_bytes);
};

ProbeLoops probe_loops_portable();
ProbeLoops probe_loops_avx2();
ProbeLoops probe_loops_avx512();
ProbeLoops probe_loops_avx512_bf16();
ProbeLoops probe_loops_amx_bf16();

}  // namespace winnow
