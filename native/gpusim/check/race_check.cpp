#include "check/race_check.h"

#include <algorithm>

namespace winnow::gpusim {
namespace {

// Which lane of a run accesses its i-th piece.
class LaneOfPiece {
 public:
  LaneOfPiece(const WarpAccess& access, const Run& run, int shift)
      : first_(run.lane), bytes_(access.bytes), shift_(shift), same_(run.same_address) {
    if ((bytes_ & (bytes_ - 1)) == 0) lane_shift_ = __builtin_ctz(bytes_) - shift;
  }
  uint32_t operator()(uint64_t i) const {
    if (same_) return first_;
    return first_ + static_cast<uint32_t>(lane_shift_ >= 0 ? i >> lane_shift_ : (i << shift_) / bytes_);
  }
  // keys[i] = base with the lane of piece i.
  void fill(AccessKey* keys, uint64_t count, AccessKey base) const {
    if (lane_shift_ >= 0 && !same_) {
      for (uint64_t i = 0; i < count; ++i) keys[i] = base | (first_ + (i >> lane_shift_));
    } else {
      for (uint64_t i = 0; i < count; ++i) keys[i] = base | (*this)(i);
    }
  }

 private:
  uint32_t first_, bytes_;
  int shift_, lane_shift_ = -1;  // -1: lanes of 12 bytes and the like
  bool same_;
};

// All keys equal but for the lane; eight at a time is what the vectoriser makes of it.
bool alike(const AccessKey* keys, uint64_t count) {
  AccessKey difference = 0;
  for (uint64_t i = 0; i < count; ++i) difference |= keys[i] ^ keys[0];
  return difference >> kWarpShift == 0;
}

}  // namespace

void RaceCheck::begin_block(uint32_t block) {
  block_ = block;
  replaceable_.fill(0);
  joined_from_ = 0;
}

void RaceCheck::begin_access(const WarpAccess& access) {
  base_ = make_key(global_ ? block_ : access.instruction, clocks_.now(access.warp), access.warp);
  // Volatile data in shared memory is a warp-synchronous habit, not a flag: only atomics are strong there.
  const bool atomic = access.kind == AccessKind::kAtomic || access.kind == AccessKind::kReduction;
  if (atomic || (global_ && access.order != MemoryOrder::kWeak)) base_ |= kStrong;
}

RaceCheck::Pieces RaceCheck::pieces(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset) const {
  const int finest = __builtin_ctzll(offset | access.bytes | kPageBytes);
  if (finest < page.shift) page.divide(finest);
  page.use();
  const uint64_t bytes = run.same_address ? access.bytes : uint64_t{run.count} * access.bytes;
  return {offset >> page.shift, bytes >> page.shift, page.shift};
}

bool RaceCheck::ordered(AccessKey key, uint32_t warp, uint32_t lane) const {
  if (global_ && origin_of(key) != block_) return clocks_.ordered_across_blocks(key, warp, lane);
  return clocks_.ordered_in_block(key, warp, lane);
}

bool RaceCheck::changes_nothing(const WarpAccess& access, uint32_t lane, uint64_t address, const uint8_t* memory,
                                uint64_t num_bytes) const {
  if (access.values == nullptr) return false;
  for (uint64_t byte = address; byte < address + num_bytes; ++byte) {
    const uint8_t value = access.values[lane * access.bytes + (byte - access.addresses[lane])];
    uint8_t before = memory[byte - address];
    for (uint32_t other = 0; other < lane; ++other) {  // lanes of this very instruction come first
      if ((access.lanes >> other & 1) != 0 && byte - access.addresses[other] < access.bytes) {
        before = access.values[other * access.bytes + (byte - access.addresses[other])];
      }
    }
    if (value != before) return false;
  }
  return true;
}

void RaceCheck::check_writer(const WarpAccess& access, AccessKey writer, uint32_t lane, uint64_t address, bool writes,
                             const uint8_t* memory, uint64_t num_bytes) {
  if (writer == 0) return;
  if ((writer & kPending) != 0) {
    sink_.conflict(access, Conflict::kPending, lane, address, writer);
    return;
  }
  if (!report_races_ || ordered(writer, access.warp, lane)) return;
  if ((writer & base_ & kStrong) != 0) return;
  if (writes && changes_nothing(access, lane, address, memory, num_bytes)) return;
  sink_.conflict(access, writes ? Conflict::kWriteAfterWrite : Conflict::kReadAfterWrite, lane, address, writer);
}

void RaceCheck::check_readers(const WarpAccess& access, AccessKey readers, uint32_t lane, uint64_t address,
                              const uint8_t* memory, uint64_t num_bytes) {
  if (readers == 0 || !report_races_) return;
  const AccessKey strong = base_ & kStrong;
  AccessKey other = 0;
  if (readers >= kManyBlocksStrong) {
    if (readers == kManyBlocks || strong == 0) other = readers;
  } else if ((readers & kReaderSet) != 0) {
    for (AccessKey member : sets_.members(readers)) {
      if ((member & strong) == 0 && !ordered(member, access.warp, lane)) other = member;
    }
  } else if ((readers & strong) == 0 && !ordered(readers, access.warp, lane)) {
    other = readers;
  }
  if (other == 0 || changes_nothing(access, lane, address, memory, num_bytes)) return;
  sink_.conflict(access, Conflict::kWriteAfterRead, lane, address, other);
}

// Who has read after `key` has: only the readers that a later write may not be ordered after.
AccessKey RaceCheck::merged_reader(AccessKey readers, AccessKey key, uint32_t warp) {
  if (readers == 0 || readers >> kWarpShift == replaceable_[warp]) return key;
  if (readers >= kManyBlocksStrong) return (key & kStrong) != 0 ? readers : kManyBlocks;
  const uint32_t lane = lane_of(key);
  if ((readers & kReaderSet) != 0) {
    if (readers == joined_from_ && key >> kWarpShift == joined_by_) return joined_;  // spares looking at the members
    const auto& members = sets_.members(readers);
    if (global_ && !members.empty() && origin_of(members[0]) != block_) return kManyBlocks;
    bool for_warp = true, for_lane = true;
    for (AccessKey member : members) {
      for_warp &= clocks_.ordered_for_warp(member, warp);
      for_lane &= clocks_.ordered_in_block(member, warp, lane);
    }
    if (for_warp) replaceable_[warp] = readers >> kWarpShift;
    if (for_lane) return key;
    return joined_reader(readers, key);
  }
  const AccessKey both_strong = readers & key & kStrong;
  if (global_ && origin_of(readers) != block_) {
    if (clocks_.ordered_across_blocks(readers, warp, lane)) return key;
    return both_strong != 0 ? kManyBlocksStrong : kManyBlocks;
  }
  if (clocks_.ordered_for_warp(readers, warp)) {
    replaceable_[warp] = readers >> kWarpShift;
    return key;
  }
  if (warp_of(readers) == warp) {
    const bool same_thread = (readers & kSeveralLanes) == 0 && lane_of(readers) == lane;
    const AccessKey merged = (key & ~kStrong) | both_strong;
    if (same_thread) return merged;
    if (clocks_.ordered_in_block(readers, warp, lane)) return key;
    return (merged & ~AccessKey{31}) | kSeveralLanes;
  }
  return clocks_.ordered_in_block(readers, warp, lane) ? key : joined_reader(readers, key);
}

// sets_.add, which looks at no lane; neighbouring pieces mostly join alike. A key holds the clock: it outlives no
// barrier.
AccessKey RaceCheck::joined_reader(AccessKey readers, AccessKey key) {
  const AccessKey from = (readers & kReaderSet) != 0 ? readers : readers >> kWarpShift << kWarpShift;
  if (from != joined_from_ || key >> kWarpShift != joined_by_) {
    joined_from_ = from;
    joined_by_ = key >> kWarpShift;
    joined_ = sets_.add(readers, key);
  }
  return joined_;
}

void RaceCheck::read(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset) {
  const Pieces p = pieces(access, page, run, offset);
  const AccessKey* writers = page.writers.data() + p.first;
  AccessKey* readers = page.readers.data() + p.first;
  const LaneOfPiece lane_at(access, run, p.shift);
  const auto address_at = [&](uint64_t i) { return run.address + (i << p.shift); };

  const bool several = run.same_address || access.kind == AccessKind::kMatrixLoad;
  const bool all_alike = alike(writers, p.count);
  if (all_alike && writers[0] == 0) {
    if (report_uninitialised_) sink_.conflict(access, Conflict::kUninitialised, run.lane, run.address, 0);
  } else if (!all_alike || !known_ordered(writers[0], access.warp)) {
    for (uint64_t i = 0; i < p.count; ++i) {
      if (writers[i] == 0 && report_uninitialised_) {
        sink_.conflict(access, Conflict::kUninitialised, lane_at(i), address_at(i), 0);
      }
      if (known_ordered(writers[i], access.warp)) continue;
      check_writer(access, writers[i], lane_at(i), address_at(i), false, nullptr, 0);
      // Several lanes read it: the writer's own lane is excused, another is not.
      if (several) check_writer(access, writers[i], lane_at(i) ^ 1, address_at(i), false, nullptr, 0);
    }
  }

  if (!report_races_) return;
  // Nothing changes what is read by many blocks already: weights and the like.
  if (std::all_of(readers, readers + p.count, [](AccessKey key) { return key == kManyBlocks; })) return;
  if (alike(readers, p.count) && (readers[0] == 0 || readers[0] >> kWarpShift == replaceable_[access.warp])) {
    if (several) {
      std::fill(readers, readers + p.count, base_ | kSeveralLanes);
    } else {
      lane_at.fill(readers, p.count, base_);
    }
    return;
  }
  for (uint64_t i = 0; i < p.count; ++i) {
    const AccessKey key = several ? base_ | kSeveralLanes : base_ | lane_at(i);
    readers[i] = merged_reader(readers[i], key, access.warp);
  }
}

void RaceCheck::write(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset,
                      const uint8_t* memory) {
  const Pieces p = pieces(access, page, run, offset);
  AccessKey* writers = page.writers.data() + p.first;
  AccessKey* readers = page.readers.data() + p.first;
  const LaneOfPiece lane_at(access, run, p.shift);

  const bool reads = access.kind == AccessKind::kAtomic || access.kind == AccessKind::kReduction;
  const bool fine = alike(writers, p.count) && alike(readers, p.count) &&
                    (writers[0] == 0 || known_ordered(writers[0], access.warp)) &&
                    (readers[0] == 0 || known_ordered(readers[0], access.warp));
  if (!fine || (writers[0] == 0 && reads && report_uninitialised_)) {
    for (uint64_t i = 0; i < p.count; ++i) {
      const uint64_t address = run.address + (i << p.shift);
      const uint8_t* bytes = memory + (i << p.shift);
      if (reads && writers[i] == 0 && report_uninitialised_) {
        sink_.conflict(access, Conflict::kUninitialised, lane_at(i), address, 0);
      }
      check_writer(access, writers[i], lane_at(i), address, true, bytes, uint64_t{1} << p.shift);
      check_readers(access, readers[i], lane_at(i), address, bytes, uint64_t{1} << p.shift);
    }
  }
  lane_at.fill(writers, p.count, access.kind == AccessKind::kAsyncTarget ? base_ | kPending : base_);
  std::fill(readers, readers + p.count, 0);
}

void RaceCheck::arrived(const WarpAccess& access, ShadowPage& page, const Run& run, uint64_t offset) {
  const Pieces p = pieces(access, page, run, offset);
  const LaneOfPiece lane_at(access, run, p.shift);
  for (uint64_t i = 0; i < p.count; ++i) {
    AccessKey& key = page.writers[p.first + i];
    const AccessKey writer = key;
    const uint32_t lane = lane_at(i);
    // Someone else may have written over it, which has been reported.
    if ((writer & kPending) == 0 || thread_of(writer) != (access.warp << kWarpShift | lane)) continue;
    key = make_key(origin_of(writer), clocks_.now(access.warp), access.warp) | lane;
  }
}

}  // namespace winnow::gpusim
