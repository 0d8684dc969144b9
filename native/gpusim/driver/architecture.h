// Limits of the architectures that the stand-in can pretend to be: the table "Technical Specifications per Compute
// Capability" of the CUDA C++ Programming Guide. Shared memory in bytes.
#pragma once

namespace winnow::gpusim {

struct Architecture {
  int compute_capability;
  int max_threads_per_multiprocessor;
  int max_blocks_per_multiprocessor;
  int shared_per_multiprocessor;
  int shared_per_block_opt_in;
};

constexpr int kMaxThreadsPerBlock = 1024, kMaxBlockZ = 64, kWarpSize = 32;
constexpr int kMaxGridX = 2147483647, kMaxGridYz = 65535;
constexpr int kSharedPerBlock = 48 * 1024;     // without opting in
constexpr int kReservedSharedPerBlock = 1024;  // for the system, of the multiprocessor's
constexpr int kRegistersPerMultiprocessor = 65536;
constexpr int kNumMultiprocessors = 108;  // an A100's
constexpr int kDriverVersion = 13010;
constexpr int kNewestPtx = 91;  // ISA 9.1, of CUDA 13.1

// The newest entry that is not newer than the capability: 8.7 counts as 8.6.
inline Architecture architecture(int compute_capability) {
  constexpr Architecture kArchitectures[] = {
      {120, 1536, 24, 100 * 1024, 99 * 1024}, {100, 2048, 32, 228 * 1024, 227 * 1024},
      {90, 2048, 32, 228 * 1024, 227 * 1024}, {89, 1536, 24, 100 * 1024, 99 * 1024},
      {86, 1536, 16, 100 * 1024, 99 * 1024},  {80, 2048, 32, 164 * 1024, 163 * 1024},
  };
  for (const Architecture& known : kArchitectures) {
    if (known.compute_capability <= compute_capability) return known;
  }
  return {75, 1024, 16, 64 * 1024, 64 * 1024};
}

}  // namespace winnow::gpusim
