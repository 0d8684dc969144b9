// One thread block while it runs, and the host thread's scratch memory for it.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "exec/warp.h"

namespace winnow::gpusim {

// Windows of generic addresses. Offsets are the same in every thread, as on a GPU.
constexpr uint64_t kSharedWindow = 0x5000'0000'0000, kLocalWindow = 0x5100'0000'0000, kParamWindow = 0x5200'0000'0000;
constexpr uint64_t kWindowBytes = 0x0100'0000'0000;

struct Barrier {
  std::vector<uint32_t> arrived;  // per warp, lanes
  uint32_t expected = 0;          // threads; 0 = all of the block
  bool in_use = false;
  uint32_t votes = 0;  // bar.red: threads whose predicate is true
  bool all_votes = true;
};

// Allocation that a memory instruction hit last.
struct Translation {
  uint64_t begin = 0, size_bytes = 0;
  uint8_t* bytes = nullptr;
  Allocation* allocation = nullptr;
};

struct Launch {
  Memory* memory;
  const Program* program;
  const Options* options;
  Monitor* monitor;  // or null
  FindingLog* log;
  Dim3 grid, block;
  uint32_t shared_bytes;  // static and dynamic
  uint32_t dynamic_shared_bytes;
  const uint8_t* parameters;
};

struct Block {
  explicit Block(const Launch& launch);
  // Runs the block with this linear index to its end. Throws Fault.
  void run(uint64_t index);

  const Launch& launch;
  const Program& program;
  Dim3 id;
  uint32_t num_threads;
  std::vector<Warp> warps;
  std::vector<uint8_t> shared;
  Barrier barriers[16];
  std::vector<Translation> translations;
  std::unique_ptr<BlockMonitor> monitor;  // or null
  std::string printed;
  Counters counters;
  uint64_t instructions_left;

  uint64_t shared_end() const { return kSharedBase + launch.shared_bytes; }
  void report(FindingKind kind, const Warp& warp, uint32_t lane, const Instruction& at, const std::string& message);
  void release_barriers();  // those whose threads have all arrived or exited

 private:
  void start(uint64_t index);
  void schedule(uint64_t index);
  void finish();
  [[noreturn]] void deadlock();
  std::vector<uint8_t> registers_, local_;
};

}  // namespace winnow::gpusim
