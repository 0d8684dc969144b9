#include "stat/traffic.h"

#include <algorithm>

namespace winnow::gpusim {
namespace {

constexpr uint32_t kSectorBytes = 32, kNumBanks = 32, kWordBytes = 4;

bool loads(AccessKind kind) {
  return kind == AccessKind::kLoad || kind == AccessKind::kAtomic || kind == AccessKind::kAsyncSource;
}
bool stores(AccessKind kind) {
  return kind == AccessKind::kStore || kind == AccessKind::kAtomic || kind == AccessKind::kReduction;
}

// Passes for the lanes [begin, end). Accesses are aligned: one lies in one word, or fills as many neighbouring banks as
// it has words.
uint32_t passes(const WarpAccess& access, uint32_t begin, uint32_t end) {
  const uint32_t unit_bytes = std::max(access.bytes, kWordBytes), num_groups = kNumBanks * kWordBytes / unit_bytes;
  uint8_t num_units[kNumBanks] = {};
  uint64_t units[kNumBanks][32];
  uint32_t most = 0;
  for (uint32_t lane = begin; lane < end; ++lane) {
    if ((access.lanes >> lane & 1) == 0) continue;
    const uint64_t unit = access.addresses[lane] / unit_bytes;
    uint64_t* of_group = units[unit % num_groups];
    uint8_t& count = num_units[unit % num_groups];
    if (std::find(of_group, of_group + count, unit) != of_group + count) continue;
    of_group[count++] = unit;
    most = std::max<uint32_t>(most, count);
  }
  return most;
}

}  // namespace

uint32_t count_sectors(const WarpAccess& access) {
  if (access.contiguous) {
    const uint64_t first = access.addresses[0], last = first + 32 * uint64_t{access.bytes} - 1;
    return static_cast<uint32_t>(last / kSectorBytes - first / kSectorBytes + 1);
  }
  uint64_t sectors[32];  // an aligned access of at most 32 bytes lies in one
  uint32_t count = 0;
  uint64_t highest = 0;
  for (uint32_t lanes = access.lanes; lanes != 0; lanes &= lanes - 1) {
    const uint64_t sector = access.addresses[__builtin_ctz(lanes)] / kSectorBytes;
    if (count > 0) {
      if (sector == sectors[count - 1]) continue;
      if (sector <= highest && std::find(sectors, sectors + count, sector) != sectors + count) continue;
    }
    highest = std::max(highest, sector);
    sectors[count++] = sector;
  }
  return count;
}

Wavefronts count_wavefronts(const WarpAccess& access) {
  const uint32_t parts = std::max<uint32_t>(1, access.bytes / kWordBytes);
  if (access.contiguous && access.addresses[0] % kWordBytes == 0) return {parts, parts};
  const uint32_t lanes_per_part = 32 / parts;
  Wavefronts result;
  for (uint32_t begin = 0; begin < 32; begin += lanes_per_part) {
    const uint32_t needed = passes(access, begin, begin + lanes_per_part);
    result.needed += needed;
    result.ideal += needed > 0;
  }
  return result;
}

void add(InstructionTraffic& sum, const InstructionTraffic& traffic) {
  sum.global_load_requests += traffic.global_load_requests;
  sum.global_load_bytes += traffic.global_load_bytes;
  sum.global_load_sectors += traffic.global_load_sectors;
  sum.global_store_requests += traffic.global_store_requests;
  sum.global_store_bytes += traffic.global_store_bytes;
  sum.global_store_sectors += traffic.global_store_sectors;
  sum.async_copy_bytes += traffic.async_copy_bytes;
  sum.shared_wavefronts += traffic.shared_wavefronts;
  sum.shared_ideal_wavefronts += traffic.shared_ideal_wavefronts;
}

Traffic::Traffic(uint32_t num_instructions, size_t num_allocations)
    : instructions_(num_instructions), allocations_(num_allocations) {}

void Traffic::count_global(const WarpAccess& access, size_t allocation) {
  const uint64_t bytes = uint64_t{static_cast<uint32_t>(__builtin_popcount(access.lanes))} * access.bytes;
  const uint64_t sectors = count_sectors(access);
  InstructionTraffic& at = instructions_[access.instruction];
  AllocationTraffic& of = allocations_[allocation];
  if (loads(access.kind)) {
    ++at.global_load_requests;
    at.global_load_bytes += bytes;
    at.global_load_sectors += sectors;
    of.load_bytes += bytes;
    of.load_sectors += sectors;
  }
  if (stores(access.kind)) {
    ++at.global_store_requests;
    at.global_store_bytes += bytes;
    at.global_store_sectors += sectors;
    of.store_bytes += bytes;
    of.store_sectors += sectors;
  }
  if (access.kind == AccessKind::kAsyncSource) at.async_copy_bytes += bytes;
}

void Traffic::count_shared(const WarpAccess& access) {
  const Wavefronts wavefronts = count_wavefronts(access);
  InstructionTraffic& at = instructions_[access.instruction];
  at.shared_wavefronts += wavefronts.needed;
  at.shared_ideal_wavefronts += wavefronts.ideal;
}

void Traffic::add_to(Traffic& total) const {
  for (size_t i = 0; i < instructions_.size(); ++i) add(total.instructions_[i], instructions_[i]);
  for (size_t i = 0; i < allocations_.size(); ++i) {
    AllocationTraffic& sum = total.allocations_[i];
    sum.load_bytes += allocations_[i].load_bytes;
    sum.load_sectors += allocations_[i].load_sectors;
    sum.store_bytes += allocations_[i].store_bytes;
    sum.store_sectors += allocations_[i].store_sectors;
  }
}

}  // namespace winnow::gpusim
