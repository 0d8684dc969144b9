// What the interpreter tells the checks and the counters while a block runs.
//
// One Monitor per launch, made by make_monitor; one BlockMonitor per block, made and used by the host thread that executes the
// block, many at a time. Without checks and counters there is none, and the interpreter tests one pointer per access.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gpusim.h"

namespace winnow::gpusim {

enum class Space : uint8_t { kGlobal, kShared, kLocal };
enum class AccessKind : uint8_t {
  kLoad,
  kStore,
  kAtomic,       // reads and writes as one operation
  kAsyncSource,  // cp.async reads global memory; at issue
  kAsyncTarget,  // cp.async writes shared memory; at issue: pending until the issuing thread waits
};

// Where in the kernel: printed only when something is found.
struct Site {
  int ptx_line, source_file, source_line;
};

// One instruction of one warp, before its effect: every lane of `lanes` accesses `bytes` bytes at addresses[lane], aligned and in
// bounds. All lanes lie in one allocation when the space is global (an access that spans two arrives as two).
struct WarpAccess {
  Space space;
  AccessKind kind;
  bool volatile_access;  // ld.volatile, st.volatile, .relaxed and stronger: meant to be seen by others
  uint32_t warp;         // in its block
  uint32_t lanes;
  uint32_t bytes;                // per lane, 1 to 16
  const uint64_t* addresses;     // [32]; shared: offset in the block's shared window; local: offset in the thread's
  Allocation* allocation;        // global only
  const uint8_t* const* memory;  // [32] the bytes as they are now
  const uint8_t* values;         // kStore: [32][bytes] what will be there, lane after lane; null otherwise
  const Site* site;
};

class BlockMonitor {
 public:
  virtual ~BlockMonitor() = default;
  virtual void access(const WarpAccess& access) = 0;
  // ldmatrix: 8 rows of 16 bytes are one shared wavefront. rows[8 * num_matrices] are shared offsets.
  virtual void matrix_load(uint32_t warp, uint32_t lanes, int num_matrices, const uint64_t* rows, const uint8_t* shared,
                           const Site& site) = 0;
  // The barrier released: every thread whose bit is set (lanes[warp]) took part; all = no live thread of the block is missing.
  virtual void barrier(const uint32_t* lanes, uint32_t num_warps, bool all) = 0;
  virtual void warp_sync(uint32_t warp, uint32_t lanes) = 0;  // bar.warp.sync: orders memory among these lanes
  // These bytes, announced by kAsyncTarget, have now arrived for the lanes that waited: [32] shared offsets.
  virtual void async_arrived(uint32_t warp, uint32_t lanes, uint32_t bytes, const uint64_t* addresses) = 0;
  virtual std::vector<Finding>& findings() = 0;  // of this block so far; the interpreter adds its own
};

class Monitor {
 public:
  virtual ~Monitor() = default;
  virtual std::unique_ptr<BlockMonitor> begin_block(Dim3 block_index, uint32_t shared_bytes, uint32_t num_threads) = 0;
  virtual void end_block(std::unique_ptr<BlockMonitor> block) = 0;  // adds its counts to the launch's
  virtual void add_counts(Counters& counters) const = 0;            // the memory counters
};

// `files` names the kernel's source files by Site::source_file; the references outlive the monitor.
std::unique_ptr<Monitor> make_monitor(const Options& options, Memory& memory, const Kernel& kernel,
                                      const std::vector<std::string>& files, Dim3 grid, Dim3 block);

}  // namespace winnow::gpusim
