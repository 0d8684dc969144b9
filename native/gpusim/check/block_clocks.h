// Which accesses of a block happened before which: a vector clock per warp.
//
// A warp's clock counts its synchronisations. An access carries the clock at which it happened. known(w, v) is the
// latest clock of warp v whose accesses are all ordered before what warp w does now. A barrier joins the clocks of the
// warps that take part, which may be a part of the block. bar.warp.sync orders the lanes of one warp. If only some
// lanes take part, a clock per pair of lanes records it. shfl, vote and similar instructions order nothing. A clock
// stops at kMaxClock: from then on races may be missed, but none is invented.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "check/access_key.h"
#include "check/release_order.h"

namespace winnow::gpusim {

class BlockClocks {
 public:
  static constexpr uint32_t kMaxWarps = 32, kNumBarriers = 16;

  explicit BlockClocks(ReleaseOrder& order) : order_(order) {}
  void begin_block(uint32_t block, uint32_t num_threads);

  uint32_t now(uint32_t warp) const { return warps_[warp].now; }

  // Returns whether the access `key`, which is not a set, is ordered before what this lane does from now on. The
  // _for_warp form answers for all lanes of the warp and reads the warp's clocks alone.
  bool ordered_for_warp(AccessKey key, uint32_t warp) const {
    return clock_of(key) <= warps_[warp].known[warp_of(key)];
  }
  bool ordered_in_block(AccessKey key, uint32_t warp, uint32_t lane) const;
  bool ordered_across_blocks(AccessKey key, uint32_t warp, uint32_t lane) const;

  void arrive(uint32_t barrier, uint32_t warp, bool waits);
  bool release(uint32_t barrier);  // true when every warp of the block waited
  void warp_sync(uint32_t warp, uint32_t lanes);
  void fence(uint32_t warp, uint32_t lanes, bool device);

  // Records a strong access of one lane to a synchronisation object (an address, see ReleaseOrder). The lane acquires
  // what others released there and releases what it has published by a fence.
  void synchronise(uint64_t object, uint32_t warp, uint32_t lane, bool acquires, bool acquire_needs_fence,
                   bool releases);

 private:
  struct Warp {
    uint32_t now = 1;
    alignas(32) std::array<uint32_t, kMaxWarps> known{};
    std::unique_ptr<std::array<uint32_t, 32 * 32>>
        lanes;  // [a * 32 + b]: clock up to which lane a knows lane b; null = nothing
    Published published;
    std::vector<Acquired> acquired, waiting_for_fence;
  };
  struct Barrier {
    alignas(32) std::array<uint32_t, kMaxWarps> arrived{};
    uint32_t waiting = 0;  // warps
    Published published;
    std::vector<Acquired> acquired;
  };
  void advance(Warp& warp) { warp.now += warp.now < kMaxClock; }

  ReleaseOrder& order_;
  uint32_t block_ = 0, num_threads_ = 0, num_warps_ = 0;
  uint64_t versions_ = 0;
  std::array<Warp, kMaxWarps> warps_;
  std::array<Barrier, kNumBarriers> barriers_;
};

}  // namespace winnow::gpusim
