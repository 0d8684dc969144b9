#include "check/monitor.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "check/worker_monitor.h"

namespace winnow::gpusim {
namespace {

class LaunchMonitor final : public Monitor {
 public:
  LaunchMonitor(const Options& options, Memory& memory, const LaunchShape& launch, FindingLog& log)
      : shared_(options, memory, launch, log) {}

  std::unique_ptr<BlockMonitor> make_worker() override { return std::make_unique<WorkerMonitor>(shared_); }

  void finish(Counters& counters) override {
    if (!shared_.options.count) return;
    InstructionTraffic sum;
    std::map<std::pair<std::string, int>, InstructionTraffic> lines;
    const std::vector<InstructionTraffic>& instructions = shared_.total.instructions();
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      const InstructionTraffic& traffic = instructions[i];
      if (traffic.global_load_requests + traffic.global_store_requests + traffic.shared_wavefronts == 0) continue;
      add(sum, traffic);
      if (shared_.options.count_lines) add(lines[shared_.log.source_line(i)], traffic);
    }
    counters.global_load_requests = sum.global_load_requests;
    counters.global_load_bytes = sum.global_load_bytes;
    counters.global_load_sectors = sum.global_load_sectors;
    counters.global_store_requests = sum.global_store_requests;
    counters.global_store_bytes = sum.global_store_bytes;
    counters.global_store_sectors = sum.global_store_sectors;
    counters.async_copy_bytes = sum.async_copy_bytes;
    counters.shared_wavefronts = sum.shared_wavefronts;
    counters.shared_ideal_wavefronts = sum.shared_ideal_wavefronts;
    for (auto& [line, traffic] : lines) counters.lines.push_back({line.first, line.second, traffic});

    std::vector<AllocationTraffic> allocations = shared_.total.allocations();
    shared_.shadow.finish(allocations);
    for (const AllocationTraffic& traffic : allocations) {
      if (traffic.load_bytes + traffic.store_bytes > 0) counters.allocations.push_back(traffic);
    }
    std::sort(counters.allocations.begin(), counters.allocations.end(),
              [](const AllocationTraffic& a, const AllocationTraffic& b) { return a.address < b.address; });
  }

 private:
  SharedByWorkers shared_;
};

}  // namespace

std::unique_ptr<Monitor> make_monitor(const Options& options, Memory& memory, const LaunchShape& launch,
                                      FindingLog& log) {
  if (!options.check_races && !options.check_initialised && !options.count) return nullptr;
  return std::make_unique<LaunchMonitor>(options, memory, launch, log);
}

}  // namespace winnow::gpusim
