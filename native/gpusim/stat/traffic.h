// Counts what a warp's memory instructions move: sectors of global memory, wavefronts of shared memory.
#pragma once

#include <cstdint>
#include <vector>

#include "check/monitor.h"
#include "gpusim.h"

namespace winnow::gpusim {

// Distinct 32-byte sectors that one warp instruction touches.
uint32_t count_sectors(const WarpAccess& access);

// The passes that 32 banks of 4-byte words need for one warp instruction, and the passes without conflicts. In one pass
// each bank gives one word, to any number of lanes. A warp accesses 8 bytes per lane in two halves, 16 bytes in four
// quarters; ldmatrix works per matrix of 8 rows. Each part needs as many passes as the bank with most distinct words.
struct Wavefronts {
  uint32_t needed = 0, ideal = 0;
};
Wavefronts count_wavefronts(const WarpAccess& access);

void add(InstructionTraffic& sum, const InstructionTraffic& traffic);

// The memory counters of one host thread, by instruction and by allocation; sums, hence the same for any number of
// threads.
class Traffic {
 public:
  Traffic(uint32_t num_instructions, size_t num_allocations);
  void count_global(const WarpAccess& access, size_t allocation);
  void count_shared(const WarpAccess& access);
  void add_to(Traffic& total) const;

  const std::vector<InstructionTraffic>& instructions() const { return instructions_; }
  const std::vector<AllocationTraffic>& allocations() const { return allocations_; }

 private:
  std::vector<InstructionTraffic> instructions_;
  std::vector<AllocationTraffic> allocations_;
};

}  // namespace winnow::gpusim
