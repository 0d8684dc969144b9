// What the interpreter tells the checks and the counters while blocks run.
//
// A launch has one Monitor. Each host thread has one BlockMonitor, which it uses for one block after the other. If
// Options::check_races, check_initialised and count are all off there is no monitor, and the interpreter tests one
// pointer per access.
//
//   per host thread:         m = monitor.make_worker()
//   per block:               m->begin_block(...) ... m->end_block()
//   per memory instruction:  held = m->before(access);  effect on memory;  if (held) m->after(held)
//   after all blocks:        monitor.finish(report.counters, log)
//
// The monitor reports races, uninitialised reads, pending asynchronous copies and divergent barriers. The interpreter
// reports everything that stops the kernel: bounds, alignment, deadlock, assertions and so on. Both write into the same
// FindingLog.
#pragma once

#include <cstdint>
#include <memory>

#include "check/finding_log.h"
#include "gpusim.h"

namespace winnow::gpusim {

struct Allocation;

enum class Space : uint8_t { kGlobal, kShared, kLocal };

enum class AccessKind : uint8_t {
  kLoad,
  kMatrixLoad,  // ldmatrix: each lane names one row of 16 bytes, which the whole warp reads
  kStore,
  kAtomic,       // atom: reads and writes
  kReduction,    // red: an atomic whose old value nobody sees
  kAsyncSource,  // cp.async reads global memory; at issue, whenever the bytes move
  kAsyncTarget,  // cp.async writes shared memory; at issue: pending until async_arrived
};

// .volatile counts as kRelaxed. Everything but kWeak is meant to be seen by others: two such accesses never race.
enum class MemoryOrder : uint8_t { kWeak, kRelaxed, kAcquire, kRelease, kAcquireRelease };

// One instruction of one warp: every lane of `lanes` accesses `bytes` bytes at addresses[lane]. Alignment and bounds
// have been checked.
// Global lanes all lie in one allocation: an instruction that touches two allocations arrives as two accesses. Lanes
// with different sizes (cp.async with a source size) arrive as one access per size. Lanes with 0 bytes are left out.
struct WarpAccess {
  Space space = Space::kGlobal;
  AccessKind kind = AccessKind::kLoad;
  MemoryOrder order = MemoryOrder::kWeak;
  bool contiguous = false;   // all 32 lanes, addresses[lane] == addresses[0] + lane * bytes
  uint32_t instruction = 0;  // index in the module
  uint32_t warp = 0;         // in its block
  uint32_t lanes = 0;
  uint32_t bytes = 0;  // per lane, 1 to 32
  const uint64_t* addresses =
      nullptr;                       // [32]; shared: offset in the block's shared memory; local: offset in the thread's
  Allocation* allocation = nullptr;  // global only
  const uint8_t* values = nullptr;   // kStore: [32][bytes], what will be there, lane after lane; otherwise null
};

class BlockMonitor {
 public:
  virtual ~BlockMonitor() = default;

  // The block's shared memory: shared_bytes bytes at `shared`, valid until end_block.
  virtual void begin_block(Dim3 block_index, const uint8_t* shared, uint32_t shared_bytes) = 0;
  virtual void end_block() = 0;

  // Called before the access takes effect. A result other than 0 is a lock that orders accesses to the same bytes by
  // different host threads: pass it to after() as soon as the access has taken effect.
  virtual uint64_t before(const WarpAccess& access) = 0;
  virtual void after(uint64_t held) = 0;

  // These lanes have waited, and the bytes of their kAsyncTarget accesses have arrived. Called once per size and
  // address set.
  virtual void async_arrived(uint32_t warp, uint32_t lanes, uint32_t bytes, const uint64_t* addresses) = 0;

  // These lanes reach a barrier by bar.sync or bar.red, which wait, or by bar.arrive, which does not. has_count: the
  // instruction gives a number of threads, so other warps may reach the barrier at another instruction.
  virtual void barrier_arrived(uint32_t barrier, uint32_t warp, uint32_t lanes, bool waits, bool has_count,
                               uint32_t instruction) = 0;
  // All threads that the barrier needs have arrived. Those that wait continue.
  virtual void barrier_released(uint32_t barrier) = 0;
  virtual void warp_sync(uint32_t warp, uint32_t lanes) = 0;  // bar.warp.sync: orders memory among these lanes
  // membar, fence: `device` is false for .cta scope.
  virtual void fence(uint32_t warp, uint32_t lanes, bool device) = 0;
};

class Monitor {
 public:
  virtual ~Monitor() = default;
  virtual std::unique_ptr<BlockMonitor> make_worker() = 0;  // thread-safe; the monitor outlives it
  // After the last block, when the workers are gone: sets the memory counters.
  virtual void finish(Counters& counters) = 0;
};

// A launch of one kernel; everything referred to outlives the monitor.
struct LaunchShape {
  Dim3 grid, block;
  uint32_t local_bytes = 0;       // of one thread
  uint32_t num_instructions = 0;  // of the module; every WarpAccess::instruction is below
  int num_workers = 1;            // host threads: with 1 no locks are taken
};

// Null when the options ask for nothing.
std::unique_ptr<Monitor> make_monitor(const Options& options, Memory& memory, const LaunchShape& launch,
                                      FindingLog& log);

}  // namespace winnow::gpusim
