#include "check/release_order.h"

#include <algorithm>
#include <utility>

namespace winnow::gpusim {
namespace {

void join_clocks(std::vector<uint32_t>& to, const std::vector<uint32_t>& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) to[i] = std::max(to[i], from[i]);
}

}  // namespace

void add_acquired(std::vector<Acquired>& list, const Acquired& acquired) {
  if (acquired.count == 0) return;
  for (Acquired& known : list) {
    if (known.object != acquired.object) continue;
    if (known.count >= acquired.count && (known.lanes & acquired.lanes) == acquired.lanes) return;
    if (known.count == acquired.count || (known.count < acquired.count && (known.lanes & ~acquired.lanes) == 0)) {
      known.count = acquired.count;
      known.lanes |= acquired.lanes;
      return;
    }
  }
  list.push_back(acquired);
}

void Published::join(const Published& other) {
  join_clocks(device, other.device);
  join_clocks(block, other.block);
}

void Published::clear() {
  device.clear();
  block.clear();
  version = 0;
}

void ReleaseOrder::release(uint64_t address, uint32_t block, const Published& published,
                           std::vector<Acquired> acquired) {
  const std::lock_guard<std::mutex> lock(mutex_);
  used_.store(true, std::memory_order_relaxed);
  auto& object = objects_[address];
  if (!object) object = std::make_unique<SyncObject>();
  const auto same = [&](const Acquired& known) {
    return known.object == object.get();
  };  // whoever acquires this has it
  acquired.erase(std::remove_if(acquired.begin(), acquired.end(), same), acquired.end());
  auto& mine = object->of_block[block];
  if (!mine.empty() && acquired.empty() && object->releases[mine.back()].version == published.version) return;
  mine.push_back(static_cast<uint32_t>(object->releases.size()));
  object->releases.push_back({block, published.version, published, std::move(acquired)});
}

Acquired ReleaseOrder::acquire(uint64_t address, uint32_t lanes) {
  if (!used()) return {nullptr, 0, lanes};
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = objects_.find(address);
  if (found == objects_.end()) return {nullptr, 0, lanes};
  return {found->second.get(), static_cast<uint32_t>(found->second->releases.size()), lanes};
}

bool ReleaseOrder::covers(const std::vector<Acquired>& acquired, uint32_t lane, uint32_t block, bool same_block,
                          uint32_t thread, bool whole_warp, uint32_t clock) {
  if (acquired.empty()) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  Search search{block, thread, clock, same_block, whole_warp, {}};
  return std::any_of(acquired.begin(), acquired.end(),
                     [&](const Acquired& known) { return (known.lanes >> lane & 1) != 0 && covers(known, search); });
}

bool ReleaseOrder::covers(const Acquired& acquired, Search& search) {
  for (const Acquired& done : search.searched) {
    if (done.object == acquired.object && done.count >= acquired.count) return false;
  }
  search.searched.push_back(acquired);
  const SyncObject& object = *acquired.object;
  const auto mine = object.of_block.find(search.block);
  if (mine != object.of_block.end()) {
    for (auto index = mine->second.rbegin(); index != mine->second.rend(); ++index) {
      if (*index >= acquired.count) continue;
      const Published& published = object.releases[*index].published;
      const std::vector<uint32_t>& clocks = search.same_block ? published.block : published.device;
      const size_t first = search.whole_warp ? search.thread / 32 * 32 : search.thread;
      const size_t last = search.whole_warp ? std::min(first + 32, clocks.size()) : first + 1;
      if (first >= last || last > clocks.size()) continue;
      const auto reached = [&](uint32_t published_clock) { return published_clock >= search.clock; };
      if (std::all_of(clocks.begin() + first, clocks.begin() + last, reached)) return true;
    }
  }
  for (uint32_t i = acquired.count; i-- > 0;) {
    for (const Acquired& further : object.releases[i].acquired) {
      if (covers(further, search)) return true;
    }
  }
  return false;
}

}  // namespace winnow::gpusim
