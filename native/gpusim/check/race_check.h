// Finds accesses of the running block that are not ordered with earlier ones to the same bytes.
//
// Two accesses race if different threads made them, at least one writes, at least one is not strong, and neither
// release_order.h nor block_clocks.h orders them. A write that does not change the bytes is no race.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "check/block_clocks.h"
#include "check/monitor.h"
#include "check/reader_sets.h"
#include "check/shadow.h"

namespace winnow::gpusim {

enum class Conflict : uint8_t { kReadAfterWrite, kWriteAfterWrite, kWriteAfterRead, kPending, kUninitialised };

// Told of the first conflict of each kind per access: the lane that meets it, the byte, the other side (0: nobody).
class ConflictSink {
 public:
  virtual ~ConflictSink() = default;
  virtual void conflict(const WarpAccess& access, Conflict kind, uint32_t lane, uint64_t address, AccessKey other) = 0;
};

// Lanes that continue each other: lane + i accesses address + i * bytes, or all the same address.
struct Run {
  uint32_t lane = 0, count = 0;
  uint64_t address = 0;
  bool same_address = false;
};

template <typename Visit>
void for_each_run(const WarpAccess& access, bool merge_same_address, Visit&& visit) {
  if (access.contiguous) {
    visit(Run{0, 32, access.addresses[0], false});
    return;
  }
  const uint64_t* addresses = access.addresses;
  const uint32_t lanes = access.lanes;
  uint32_t lane = 0;
  while (lane < 32) {
    if ((lanes >> lane & 1) == 0) {
      ++lane;
      continue;
    }
    const uint64_t start = addresses[lane];
    uint32_t end = lane + 1;
    if (merge_same_address && end < 32 && (lanes >> end & 1) != 0 && addresses[end] == start) {
      while (end < 32 && (lanes >> end & 1) != 0 && addresses[end] == start) ++end;
      visit(Run{lane, end - lane, start, true});
    } else {
      while (end < 32 && (lanes >> end & 1) != 0 && addresses[end] == start + uint64_t{end - lane} * access.bytes)
        ++end;
      visit(Run{lane, end - lane, start, false});
    }
    lane = end;
  }
}

// One per host thread and space.
class RaceCheck {
 public:
  RaceCheck(BlockClocks& clocks, ReaderSets& sets, ConflictSink& sink, bool global)
      : clocks_(clocks), sets_(sets), sink_(sink), global_(global) {}

  void begin_block(uint32_t block);
  void readers_forgotten() { replaceable_.fill(0); }

  // Before the runs of an access are read or written.
  void begin_access(const WarpAccess& access);
  // The lanes of a run that lie in one page: `offset` is that of the first in the page. memory: the page's bytes as
  // they are.
  void read(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset);
  void write(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset, const uint8_t* memory);
  void arrived(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset);

  void report_uninitialised(bool report) { report_uninitialised_ = report; }
  void report_races(bool report) { report_races_ = report; }

 private:
  struct Pieces {
    uint64_t first, count;
    int shift;
  };
  Pieces pieces(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset) const;
  // Whether the block's clocks alone order the access before what the whole warp does. False for no access, for sets
  // and for pending copies.
  bool known_ordered(AccessKey key, uint32_t warp) const {
    return key != 0 && (key & (kReaderSet | kPending)) == 0 && (!global_ || origin_of(key) == block_) &&
           clocks_.ordered_for_warp(key, warp);
  }
  bool ordered(AccessKey key, uint32_t warp, uint32_t lane) const;  // key: one access, not a set
  void check_writer(const WarpAccess& access, AccessKey writer, uint32_t lane, uint64_t address, bool writes,
                    const uint8_t* memory, uint64_t num_bytes);
  void check_readers(const WarpAccess& access, AccessKey readers, uint32_t lane, uint64_t address,
                     const uint8_t* memory, uint64_t num_bytes);
  AccessKey merged_reader(AccessKey readers, AccessKey key, uint32_t warp);
  AccessKey joined_reader(AccessKey readers, AccessKey key);
  bool changes_nothing(const WarpAccess& access, uint32_t lane, uint64_t address, const uint8_t* memory,
                       uint64_t num_bytes) const;

  BlockClocks& clocks_;
  ReaderSets& sets_;
  ConflictSink& sink_;
  const bool global_;
  bool report_uninitialised_ = false, report_races_ = true;
  uint32_t block_ = 0;
  AccessKey base_ = 0;  // of the access that is being checked: its key without lane
  // Readers without lane of which the warp's own reads can take the place.
  std::array<AccessKey, BlockClocks::kMaxWarps> replaceable_{};
  AccessKey joined_from_ = 0, joined_by_ = 0, joined_ = 0;  // the last result of sets_.add
};

}  // namespace winnow::gpusim
