#include "check/worker_monitor.h"

#include <algorithm>
#include <cstdio>

namespace winnow::gpusim {
namespace {

std::string hex(uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

const char* verb(AccessKind kind) {
  switch (kind) {
    case AccessKind::kLoad:
    case AccessKind::kMatrixLoad:
      return "read";
    case AccessKind::kStore:
      return "write";
    case AccessKind::kAtomic:
    case AccessKind::kReduction:
      return "atomic";
    default:
      return "asynchronous copy";
  }
}

bool writes(AccessKind kind) {
  return kind != AccessKind::kLoad && kind != AccessKind::kMatrixLoad && kind != AccessKind::kAsyncSource;
}
bool reads(AccessKind kind) { return kind != AccessKind::kStore && kind != AccessKind::kAsyncTarget; }

}  // namespace

WorkerMonitor::WorkerMonitor(SharedByWorkers& launch)
    : launch_(launch),
      races_(launch.options.check_races),
      initialised_(launch.options.check_initialised),
      count_(launch.options.count),
      clocks_(launch.order),
      shared_readers_(false),
      shared_check_(clocks_, shared_readers_, *this, false),
      global_check_(clocks_, launch.global_readers, *this, true),
      traffic_(launch.launch.num_instructions, launch.shadow.num_allocations()) {
  shared_check_.report_races(races_);
  shared_check_.report_uninitialised(initialised_);
}

WorkerMonitor::~WorkerMonitor() {
  const std::lock_guard<std::mutex> lock(launch_.total_mutex);
  traffic_.add_to(launch_.total);
}

void WorkerMonitor::begin_block(Dim3 block_index, const uint8_t* shared, uint32_t shared_bytes) {
  const LaunchShape& launch = launch_.launch;
  block_ = block_index;
  block_index_ = block_index.x + launch.grid.x * (block_index.y + launch.grid.y * block_index.z);
  const uint32_t num_threads = launch.block.x * launch.block.y * launch.block.z;
  shared_ = shared;
  clocks_.begin_block(block_index_, num_threads);
  shared_check_.begin_block(block_index_);
  global_check_.begin_block(block_index_);
  shared_readers_.forget();
  shared_pages_.resize((shared_bytes + kPageBytes - 1) / kPageBytes);
  for (ShadowPage& page : shared_pages_) page.used = false;  // the division stays: the next block accesses alike
  for (Arrival& arrival : arrivals_) arrival = Arrival();
  if (initialised_) local_written_.assign((uint64_t{num_threads} * launch.local_bytes + 63) / 64, 0);
}

template <typename Visit>
void WorkerMonitor::for_each_page(const WarpAccess& access, uint64_t base, bool merge_same_address, Visit&& visit) {
  for_each_run(access, merge_same_address, [&](Run run) {
    while (run.count > 0) {
      const uint64_t offset = run.address - base, left = kPageBytes - offset % kPageBytes;
      Run part = run;
      if (!run.same_address && uint64_t{run.count} * access.bytes > left) {
        part.count = static_cast<uint32_t>(left / access.bytes);
      }
      visit(part, offset);
      run.lane += part.count;
      run.count -= part.count;
      run.address += uint64_t{part.count} * access.bytes;
    }
  });
}

uint64_t WorkerMonitor::before(const WarpAccess& access) {
  conflicts_seen_ = 0;
  switch (access.space) {
    case Space::kGlobal:
      return global(access);
    case Space::kShared:
      shared(access);
      return 0;
    case Space::kLocal:
      if (initialised_) local(access);
      return 0;
  }
  return 0;
}

uint64_t WorkerMonitor::global(const WarpAccess& access) {
  GlobalShadow& shadow = launch_.shadow;
  const size_t index = shadow.index_of(*access.allocation);
  const uint64_t base = access.allocation->address;
  uint64_t held = 0;
  if (launch_.launch.num_workers > 1) {
    if (access.contiguous) {
      held = GlobalShadow::lock_bit(access.addresses[0] - base) |
             GlobalShadow::lock_bit(access.addresses[31] - base);  // 1 KiB at most
    } else {
      for (uint32_t lanes = access.lanes; lanes != 0; lanes &= lanes - 1) {
        held |= GlobalShadow::lock_bit(access.addresses[__builtin_ctz(lanes)] - base);
      }
    }
    shadow.lock(held);
  }
  if (count_) traffic_.count_global(access, index);
  if (races_ && access.order != MemoryOrder::kWeak) synchronise(access, 0);
  const bool is_write = writes(access.kind), is_read = reads(access.kind);
  global_check_.begin_access(access);
  for_each_page(access, base, !is_write, [&](const Run& run, uint64_t offset) {
    GlobalPage& page = shadow.page(index, offset);
    const uint64_t in_page = offset % kPageBytes;
    const uint64_t bytes = run.same_address ? access.bytes : uint64_t{run.count} * access.bytes;
    // kReduction leaves the old value unseen, but needs it to hold one.
    if (is_read && initialised_ && !access.allocation->written.contains_all(offset, bytes)) initialisation(access, run);
    if (count_ && is_read && access.kind != AccessKind::kReduction) add_bytes(page.loaded, in_page, bytes);
    if (is_write) {
      if (count_) add_bytes(page.stored, in_page, bytes);
      access.allocation->written.add(offset, bytes);
    }
    if (!races_) return;
    if (is_write) {
      global_check_.write(access, page.keys, run, in_page, access.allocation->bytes + offset);
    } else {
      global_check_.read(access, page.keys, run, in_page);
    }
  });
  return held;
}

void WorkerMonitor::initialisation(const WarpAccess& access, const Run& run) {
  for (uint32_t i = 0; i < run.count; ++i) {
    const uint64_t address = run.same_address ? run.address : run.address + uint64_t{i} * access.bytes;
    if (access.allocation->written.contains_all(address - access.allocation->address, access.bytes)) continue;
    conflict(access, Conflict::kUninitialised, run.lane + i, address, 0);
    return;
  }
}

void WorkerMonitor::shared(const WarpAccess& access) {
  if (count_) traffic_.count_shared(access);
  if (!races_ && !initialised_) return;
  if (races_ && access.order != MemoryOrder::kWeak) {
    // Beside all device addresses: shared memory of different blocks is different memory.
    synchronise(access, uint64_t{1} << 63 | uint64_t{block_index_} << 20);
  }
  const bool is_write = writes(access.kind);
  shared_check_.begin_access(access);
  for_each_page(access, 0, !is_write, [&](const Run& run, uint64_t offset) {
    ShadowPage& page = shared_pages_[offset / kPageBytes];
    if (is_write) {
      shared_check_.write(access, page, run, offset % kPageBytes, shared_ + offset);
    } else {
      shared_check_.read(access, page, run, offset % kPageBytes);
    }
  });
}

void WorkerMonitor::local(const WarpAccess& access) {
  for (uint32_t lanes = access.lanes; lanes != 0; lanes &= lanes - 1) {
    const uint32_t lane = __builtin_ctz(lanes);
    const uint64_t first = (access.warp * 32 + lane) * uint64_t{launch_.launch.local_bytes} + access.addresses[lane];
    for (uint64_t byte = first; byte < first + access.bytes; ++byte) {
      uint64_t& bits = local_written_[byte / 64];
      const uint64_t bit = uint64_t{1} << (byte % 64);
      if (writes(access.kind)) {
        bits |= bit;
      } else if ((bits & bit) == 0) {
        conflict(access, Conflict::kUninitialised, lane, access.addresses[lane], 0);
        break;
      }
    }
  }
}

void WorkerMonitor::synchronise(const WarpAccess& access, uint64_t first_object) {
  const bool acquire = access.order == MemoryOrder::kAcquire || access.order == MemoryOrder::kAcquireRelease;
  const bool release = access.order == MemoryOrder::kRelease || access.order == MemoryOrder::kAcquireRelease;
  if (release) clocks_.fence(access.warp, access.lanes, true);
  for (uint32_t lanes = access.lanes; lanes != 0; lanes &= lanes - 1) {
    const uint32_t lane = __builtin_ctz(lanes);
    const bool load = access.kind == AccessKind::kLoad;
    clocks_.synchronise(first_object | access.addresses[lane], access.warp, lane,
                        load || access.kind == AccessKind::kAtomic, load && !acquire, writes(access.kind));
  }
}

void WorkerMonitor::async_arrived(uint32_t warp, uint32_t lanes, uint32_t bytes, const uint64_t* addresses) {
  if (!races_ && !initialised_) return;
  WarpAccess access;
  access.space = Space::kShared;
  access.kind = AccessKind::kAsyncTarget;
  access.warp = warp;
  access.lanes = lanes;
  access.bytes = bytes;
  access.addresses = addresses;
  for_each_page(access, 0, false, [&](const Run& run, uint64_t offset) {
    shared_check_.arrived(access, shared_pages_[offset / kPageBytes], run, offset % kPageBytes);
  });
}

void WorkerMonitor::barrier_arrived(uint32_t barrier, uint32_t warp, uint32_t lanes, bool waits, bool has_count,
                                    uint32_t instruction) {
  clocks_.arrive(barrier, warp, waits);
  Arrival& arrival = arrivals_[barrier];
  const auto place = [&](uint32_t at) { return launch_.log.place_name(at); };
  const auto report = [&](uint32_t other_warp, uint32_t other_instruction) {
    arrival.reported = true;
    launch_.log.add(FindingKind::kDivergentBarrier, block_, warp * 32 + __builtin_ctz(lanes), instruction,
                    "reaches barrier " + std::to_string(barrier) + " at " + place(instruction) + "; " +
                        (other_warp == warp ? "lanes of the same warp" : launch_.log.thread_name(other_warp * 32)) +
                        " at " + place(other_instruction));
  };
  if (arrival.lanes_of[warp] != 0 && arrival.instruction_of[warp] != instruction && !arrival.reported) {
    report(warp, arrival.instruction_of[warp]);
  }
  // Copies of one place by the compiler are one barrier; a barrier with a count may be met anywhere by design.
  if (arrival.any && !has_count && !arrival.reported && arrival.instruction != instruction &&
      !launch_.log.same_place(arrival.instruction, instruction)) {
    report(arrival.warp, arrival.instruction);
  }
  if (!arrival.any) {
    arrival.any = true;
    arrival.warp = warp;
    arrival.instruction = instruction;
  }
  arrival.lanes_of[warp] |= lanes;
  arrival.instruction_of[warp] = instruction;
}

void WorkerMonitor::barrier_released(uint32_t barrier) {
  arrivals_[barrier] = Arrival();
  if (!clocks_.release(barrier)) return;
  shared_readers_.forget();  // whatever was read is ordered before whatever follows
}

std::string WorkerMonitor::other_side(const WarpAccess& access, AccessKey other) const {
  if (other >= kManyBlocksStrong) return "several blocks";
  const uint32_t thread = thread_of(other);
  std::string name = (other & kSeveralLanes) != 0
                         ? "several lanes of the warp of " + launch_.log.thread_name(thread / 32 * 32)
                         : launch_.log.thread_name(thread);
  if (access.space == Space::kShared) return name + " at " + launch_.log.place_name(origin_of(other));
  const Dim3 grid = launch_.launch.grid;
  const uint32_t block = origin_of(other);
  if (block == (block_index_ & 0x3FFF'FFFF)) return name + " of the same block";
  return "block (" + std::to_string(block % grid.x) + "," + std::to_string(block / grid.x % grid.y) + "," +
         std::to_string(block / grid.x / grid.y) + ") " + name;
}

void WorkerMonitor::conflict(const WarpAccess& access, Conflict kind, uint32_t lane, uint64_t address,
                             AccessKey other) {
  const uint32_t bit = 1u << static_cast<int>(kind);
  if ((conflicts_seen_ & bit) != 0) return;
  conflicts_seen_ |= bit;
  std::string where = access.space == Space::kShared ? "shared memory + " + hex(address)
                      : access.space == Space::kLocal
                          ? "local memory + " + hex(address)
                          : hex(address) + ", " + std::to_string(address - access.allocation->address) +
                                " bytes into an allocation of " + std::to_string(access.allocation->size_bytes);
  std::string message = std::string(verb(access.kind)) + " of " + std::to_string(access.bytes) + " bytes at " + where;
  FindingKind finding = access.space == Space::kGlobal ? FindingKind::kGlobalRace : FindingKind::kSharedRace;
  const char* missing = access.space == Space::kGlobal && origin_of(other) != block_index_
                            ? ": no release and acquire between"
                            : ": no barrier between";
  switch (kind) {
    case Conflict::kUninitialised:
      finding = FindingKind::kUninitialisedRead;
      message += " that nothing has written";
      break;
    case Conflict::kPending:
      finding = FindingKind::kAsyncCopyPending;
      message += " that a cp.async fills, not waited for, by " + other_side(access, other);
      break;
    case Conflict::kReadAfterWrite:
    case Conflict::kWriteAfterWrite:
      message += " races with the write by " + other_side(access, other) + missing;
      break;
    case Conflict::kWriteAfterRead:
      message += " races with the read by " + other_side(access, other) + missing;
      break;
  }
  launch_.log.add(finding, block_, access.warp * 32 + lane, access.instruction, std::move(message));
}

}  // namespace winnow::gpusim
