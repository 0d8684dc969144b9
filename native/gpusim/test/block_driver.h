// Drives the monitor the way the interpreter does, without an interpreter: one block of up to 32 warps, accesses made
// by hand.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "check/monitor.h"
#include "gpusim.h"

namespace winnow::gpusim {

constexpr uint32_t kAll = 0xFFFF'FFFF;

class BlockDriver {
 public:
  explicit BlockDriver(uint32_t num_warps, uint32_t num_blocks = 1, uint32_t local_bytes = 0)
      : launch_{{num_blocks, 1, 1}, {num_warps * 32, 1, 1}, local_bytes, 64, 1},
        log_("kernel", launch_.grid, launch_.block, at_ptx_line),
        shared_(8192) {}

  Memory memory;
  Options options;

  // Call after allocating memory.
  void begin() {
    monitor_ = make_monitor(options, memory, launch_, log_);
    worker_ = monitor_->make_worker();
    block(0);
  }
  void block(uint32_t index) {
    worker_->begin_block({index, 0, 0}, shared_.data(), static_cast<uint32_t>(shared_.size()));
  }
  BlockMonitor& at() { return *worker_; }

  // One instruction, address = first + lane * step for the lanes given.
  void access(Space space, AccessKind kind, uint32_t instruction, uint32_t warp, uint64_t first, uint64_t step = 4,
              uint32_t bytes = 4, uint32_t lanes = kAll, uint8_t value = 1, MemoryOrder order = MemoryOrder::kWeak) {
    uint64_t addresses[32];
    for (uint64_t lane = 0; lane < 32; ++lane) addresses[lane] = first + lane * step;
    std::vector<uint8_t> values(32 * bytes, value);
    WarpAccess a;
    a.space = space;
    a.kind = kind;
    a.order = order;
    a.contiguous = lanes == kAll && step == bytes;
    a.instruction = instruction;
    a.warp = warp;
    a.lanes = lanes;
    a.bytes = bytes;
    a.addresses = addresses;
    if (space == Space::kGlobal) a.allocation = memory.find(first);
    if (kind == AccessKind::kStore) a.values = values.data();
    const uint64_t held = worker_->before(a);
    if (kind == AccessKind::kStore) {
      for (uint32_t lane = 0; lane < 32; ++lane) {
        if ((lanes >> lane & 1) == 0 || space == Space::kLocal) continue;
        uint8_t* to = space == Space::kShared ? &shared_[addresses[lane]] : memory.host(addresses[lane], bytes, "test");
        std::memcpy(to, &values[lane * bytes], bytes);
      }
    }
    if (held != 0) worker_->after(held);
  }
  void barrier(uint32_t instruction = 60) {
    const uint32_t num_warps = launch_.block.x / 32;
    for (uint32_t w = 0; w < num_warps; ++w) worker_->barrier_arrived(0, w, kAll, true, false, instruction);
    worker_->barrier_released(0);
  }

  // Kinds and ptx lines, "race in shared memory@3 ..."; empties the log.
  std::string found() {
    std::string text;
    for (const Finding& finding : log_.take()) {
      text += (text.empty() ? "" : " ") + std::string(name(finding.kind)) + "@" + std::to_string(finding.ptx_line);
      last_message = finding.message;
    }
    return text;
  }
  std::string last_message;

  Counters finish() {
    worker_.reset();
    Counters counters;
    monitor_->finish(counters);
    return counters;
  }

 private:
  static Location at_ptx_line(uint32_t instruction) {
    Location at;
    at.ptx_line = static_cast<int>(instruction);
    return at;
  }

  LaunchShape launch_;
  FindingLog log_;
  std::vector<uint8_t> shared_;
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<BlockMonitor> worker_;
};

}  // namespace winnow::gpusim
