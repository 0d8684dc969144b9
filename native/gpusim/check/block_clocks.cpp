#include "check/block_clocks.h"

#include <algorithm>

namespace winnow::gpusim {
namespace {

constexpr uint32_t kAllLanes = 0xFFFF'FFFF;

void join(std::array<uint32_t, BlockClocks::kMaxWarps>& to, const std::array<uint32_t, BlockClocks::kMaxWarps>& from) {
  for (uint32_t i = 0; i < BlockClocks::kMaxWarps; ++i) to[i] = std::max(to[i], from[i]);
}

}  // namespace

void BlockClocks::begin_block(uint32_t block, uint32_t num_threads) {
  block_ = block;
  num_threads_ = num_threads;
  num_warps_ = (num_threads + 31) / 32;
  for (uint32_t w = 0; w < num_warps_; ++w) {
    Warp& warp = warps_[w];
    warp.now = 1;
    warp.known.fill(0);
    warp.lanes.reset();
    warp.published.clear();
    warp.acquired.clear();
    warp.waiting_for_fence.clear();
  }
  for (Barrier& barrier : barriers_) {
    barrier.arrived.fill(0);
    barrier.waiting = 0;
    barrier.published.clear();
    barrier.acquired.clear();
  }
}

bool BlockClocks::ordered_in_block(AccessKey key, uint32_t warp, uint32_t lane) const {
  const Warp& me = warps_[warp];
  const uint32_t other = warp_of(key), clock = clock_of(key);
  if (clock <= me.known[other]) return true;
  const bool several = (key & kSeveralLanes) != 0;
  if (other == warp) {
    if (!several && lane_of(key) == lane) return true;
    if (me.lanes) {
      const uint32_t* known = me.lanes->data() + lane * 32;
      if (!several && known[lane_of(key)] >= clock) return true;
      if (several && std::all_of(known, known + 32, [&](uint32_t c) { return c >= clock; })) return true;
    }
  }
  return order_.covers(me.acquired, lane, block_, true, thread_of(key), several, clock);
}

bool BlockClocks::ordered_across_blocks(AccessKey key, uint32_t warp, uint32_t lane) const {
  return order_.covers(warps_[warp].acquired, lane, origin_of(key), false, thread_of(key), (key & kSeveralLanes) != 0,
                       clock_of(key));
}

void BlockClocks::arrive(uint32_t barrier, uint32_t warp, bool waits) {
  Barrier& b = barriers_[barrier];
  Warp& me = warps_[warp];
  join(b.arrived, me.known);
  b.arrived[warp] = std::max(b.arrived[warp], me.now);
  if (!me.published.empty()) b.published.join(me.published);
  for (const Acquired& acquired : me.acquired) add_acquired(b.acquired, {acquired.object, acquired.count, kAllLanes});
  if (waits) b.waiting |= 1u << warp;
  advance(me);
}

bool BlockClocks::release(uint32_t barrier) {
  Barrier& b = barriers_[barrier];
  const uint32_t everyone = num_warps_ == 32 ? kAllLanes : (1u << num_warps_) - 1;
  const bool all = b.waiting == everyone;
  for (uint32_t w = 0; w < num_warps_; ++w) {
    if ((b.waiting >> w & 1) == 0) continue;
    join(warps_[w].known, b.arrived);
    if (!b.published.empty()) {
      warps_[w].published.join(b.published);
      warps_[w].published.version = ++versions_;
    }
    for (const Acquired& acquired : b.acquired) add_acquired(warps_[w].acquired, acquired);
  }
  b.arrived.fill(0);
  b.waiting = 0;
  b.published.clear();
  b.acquired.clear();
  return all;
}

void BlockClocks::warp_sync(uint32_t warp, uint32_t lanes) {
  Warp& me = warps_[warp];
  const uint32_t in_warp = std::min(32u, num_threads_ - warp * 32);
  const uint32_t everyone = in_warp == 32 ? kAllLanes : (1u << in_warp) - 1;
  if ((lanes & everyone) == everyone) {
    me.known[warp] = me.now;
  } else {
    if (!me.lanes) me.lanes = std::make_unique<std::array<uint32_t, 32 * 32>>();
    std::array<uint32_t, 32> joined{};
    for (uint32_t a = 0; a < 32; ++a) {
      if ((lanes >> a & 1) == 0) continue;
      for (uint32_t b = 0; b < 32; ++b) joined[b] = std::max(joined[b], (*me.lanes)[a * 32 + b]);
      joined[a] = me.now;
    }
    for (uint32_t a = 0; a < 32; ++a) {
      if ((lanes >> a & 1) != 0) std::copy(joined.begin(), joined.end(), me.lanes->begin() + a * 32);
    }
  }
  for (Acquired& acquired : me.acquired) {
    if ((acquired.lanes & lanes) != 0) acquired.lanes |= lanes;
  }
  advance(me);
}

void BlockClocks::fence(uint32_t warp, uint32_t lanes, bool device) {
  Warp& me = warps_[warp];
  const auto publish = [&](std::vector<uint32_t>& clocks) {
    clocks.resize(num_threads_);
    for (uint32_t t = 0; t < num_threads_; ++t) {
      const bool fenced = t / 32 == warp && (lanes >> (t % 32) & 1) != 0;
      clocks[t] = std::max(clocks[t], fenced ? me.now : me.known[t / 32]);
    }
  };
  publish(me.published.block);
  if (device) publish(me.published.device);
  me.published.version = ++versions_;
  for (const Acquired& acquired : me.waiting_for_fence) add_acquired(me.acquired, acquired);
  me.waiting_for_fence.clear();
  advance(me);
}

void BlockClocks::synchronise(uint64_t object, uint32_t warp, uint32_t lane, bool acquires, bool acquire_needs_fence,
                              bool releases) {
  Warp& me = warps_[warp];
  if (acquires) {
    add_acquired(acquire_needs_fence ? me.waiting_for_fence : me.acquired, order_.acquire(object, 1u << lane));
  }
  if (releases && !me.published.empty()) {
    std::vector<Acquired> acquired;
    for (const Acquired& known : me.acquired) {
      if ((known.lanes >> lane & 1) != 0) acquired.push_back(known);
    }
    order_.release(object, block_, me.published, std::move(acquired));
  }
}

}  // namespace winnow::gpusim
