// The checks and counters of one host thread, and what the threads of one launch share.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "check/block_clocks.h"
#include "check/global_shadow.h"
#include "check/monitor.h"
#include "check/race_check.h"
#include "stat/traffic.h"

namespace winnow::gpusim {

struct SharedByWorkers {
  SharedByWorkers(const Options& options, Memory& memory, const LaunchShape& launch, FindingLog& log)
      : options(options),
        launch(launch),
        log(log),
        shadow(memory),
        global_readers(launch.num_workers > 1),
        total(launch.num_instructions, shadow.num_allocations()) {}

  const Options options;
  const LaunchShape launch;
  FindingLog& log;
  GlobalShadow shadow;
  ReleaseOrder order;
  ReaderSets global_readers;
  std::mutex total_mutex;
  Traffic total;  // of workers that have gone
};

class WorkerMonitor final : public BlockMonitor, private ConflictSink {
 public:
  explicit WorkerMonitor(SharedByWorkers& launch);
  ~WorkerMonitor() override;

  void begin_block(Dim3 block_index, const uint8_t* shared, uint32_t shared_bytes) override;
  void end_block() override {}
  uint64_t before(const WarpAccess& access) override;
  void after(uint64_t held) override { launch_.shadow.unlock(held); }
  void async_arrived(uint32_t warp, uint32_t lanes, uint32_t bytes, const uint64_t* addresses) override;
  void barrier_arrived(uint32_t barrier, uint32_t warp, uint32_t lanes, bool waits, bool has_count,
                       uint32_t instruction) override;
  void barrier_released(uint32_t barrier) override;
  void warp_sync(uint32_t warp, uint32_t lanes) override { clocks_.warp_sync(warp, lanes); }
  void fence(uint32_t warp, uint32_t lanes, bool device) override { clocks_.fence(warp, lanes, device); }

 private:
  void conflict(const WarpAccess& access, Conflict kind, uint32_t lane, uint64_t address, AccessKey other) override;
  std::string other_side(const WarpAccess& access, AccessKey other) const;
  uint64_t global(const WarpAccess& access);
  void shared(const WarpAccess& access);
  void local(const WarpAccess& access);
  void initialisation(const WarpAccess& access, const Run& run);
  void synchronise(const WarpAccess& access, uint64_t first_object);
  // Calls visit(run within one page, offset of its first byte from `base`).
  template <typename Visit>
  void for_each_page(const WarpAccess& access, uint64_t base, bool merge_same_address, Visit&& visit);

  SharedByWorkers& launch_;
  const bool races_, initialised_, count_;
  BlockClocks clocks_;
  ReaderSets shared_readers_;
  RaceCheck shared_check_, global_check_;
  Traffic traffic_;
  std::vector<ShadowPage> shared_pages_;
  std::vector<uint64_t> local_written_;  // a bit per byte, thread after thread
  Dim3 block_;
  uint32_t block_index_ = 0;
  const uint8_t* shared_ = nullptr;
  uint32_t conflicts_seen_ = 0;  // kinds, by the access that is being checked

  struct Arrival {
    bool any = false, reported = false;
    uint32_t warp = 0, instruction = 0;
    std::array<uint32_t, BlockClocks::kMaxWarps> instruction_of{}, lanes_of{};  // of each warp, until released
  };
  std::array<Arrival, BlockClocks::kNumBarriers> arrivals_;
};

}  // namespace winnow::gpusim
