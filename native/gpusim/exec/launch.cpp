#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>

#include "exec/block.h"

namespace winnow::gpusim {
namespace {

constexpr uint32_t kMaxThreads = 1024, kMaxSharedBytes = 227 * 1024;
constexpr size_t kMaxFindings = 64;
constexpr unsigned kDefaultMxcsr = 0x1F80;  // round to nearest even, denormals kept, no traps

struct BlockResult {
  uint64_t index;
  std::vector<Finding> findings;
  std::string printed;
};

void add(Counters& to, const Counters& from) {
  to.thread_instructions += from.thread_instructions;
  to.warp_instructions += from.warp_instructions;
  to.mma += from.mma;
  to.branches += from.branches;
  to.divergent_branches += from.divergent_branches;
  to.async_copy_bytes += from.async_copy_bytes;
  to.atomics += from.atomics;
  to.barriers += from.barriers;
}

// Blocks are handed out in ascending order, from a first one that the seed chooses. After an error, blocks before the failing one
// still run and may fail themselves: the error reported is that of the first in order, whatever the number of host threads.
class Blocks {
 public:
  Blocks(const Launch& launch, uint64_t num_blocks)
      : launch_(launch), num_blocks_(num_blocks), first_(launch.options->seed == 0 ? 0 : launch.options->seed % num_blocks) {}

  void work() {
    const unsigned mxcsr = _mm_getcsr();
    _mm_setcsr(kDefaultMxcsr);
    Block block(launch_);
    Counters counters;
    for (uint64_t turn; (turn = next_++) < num_blocks_ && turn < failed_;) {
      const uint64_t index = (first_ + turn) % num_blocks_;
      const int error = block.run(index);
      add(counters, block.counters);
      if (error == 0 && block.findings.empty() && block.printed.empty()) continue;
      const std::lock_guard<std::mutex> lock(mutex_);
      results_.push_back({turn, std::move(block.findings), std::move(block.printed)});
      if (error != 0 && turn < failed_) {
        failed_ = turn;
        error_ = error;
      }
    }
    _mm_setcsr(mxcsr);
    const std::lock_guard<std::mutex> lock(mutex_);
    add(counters_, counters);
  }

  void report(LaunchReport& to) {
    std::sort(results_.begin(), results_.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
    for (BlockResult& r : results_) {
      if (r.index > failed_) break;
      to.printed += r.printed;
      for (Finding& f : r.findings) {
        if (to.findings.size() < kMaxFindings || r.index == failed_) to.findings.push_back(std::move(f));
      }
    }
    to.error = error_;
    to.counters = counters_;
  }

 private:
  const Launch& launch_;
  const uint64_t num_blocks_, first_;
  std::atomic<uint64_t> next_{0}, failed_{std::numeric_limits<uint64_t>::max()};
  std::mutex mutex_;  // guards what follows
  std::vector<BlockResult> results_;
  Counters counters_;
  int error_ = 0;
};

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

}  // namespace

LaunchReport run(Memory& memory, const Module&, const Kernel& kernel, Dim3 grid, Dim3 block,
                 uint32_t dynamic_shared_bytes, const void* packed_arguments, size_t bytes, const Options& options) {
  const auto& program = static_cast<const Program&>(kernel);
  const uint64_t num_blocks = uint64_t{grid.x} * grid.y * grid.z, num_threads = uint64_t{block.x} * block.y * block.z;
  const uint32_t max_threads = program.max_threads_per_block == 0 ? kMaxThreads : program.max_threads_per_block;
  require(num_blocks > 0 && grid.y <= 65535 && grid.z <= 65535 && grid.x <= 0x7FFF'FFFF,
          program.name + ": the grid must be 1 to 2^31 - 1 x 1 to 65535 x 1 to 65535 blocks");
  require(num_threads > 0 && num_threads <= max_threads && block.z <= 64,
          program.name + ": " + std::to_string(num_threads) + " threads per block, expected 1 to " +
              std::to_string(max_threads));
  require(uint64_t{program.static_shared_bytes} + dynamic_shared_bytes <= kMaxSharedBytes,
          program.name + ": more than " + std::to_string(kMaxSharedBytes) + " bytes of shared memory");
  require(bytes == program.parameter_bytes, program.name + " takes " + std::to_string(program.parameter_bytes) +
                                                " bytes of arguments, found " + std::to_string(bytes));

  const Launch launch{&memory, &program, &options, nullptr, grid, block, program.static_shared_bytes + dynamic_shared_bytes,
                      dynamic_shared_bytes, static_cast<const uint8_t*>(packed_arguments)};
  Launch observed = launch;
  std::unique_ptr<Monitor> monitor;
  if (options.check_races || options.check_initialised || options.count) {
    monitor = make_monitor(options, memory, kernel, program.files, grid, block);
    observed.monitor = monitor.get();
  }
  Blocks blocks(observed, num_blocks);
  uint64_t num_workers = options.num_threads > 0 ? static_cast<uint64_t>(options.num_threads)
                                                 : std::max(1u, std::thread::hardware_concurrency());
  num_workers = std::min(num_workers, num_blocks);
  std::vector<std::thread> workers;
  for (uint64_t i = 1; i < num_workers; ++i) workers.emplace_back([&] { blocks.work(); });
  blocks.work();
  for (std::thread& worker : workers) worker.join();

  LaunchReport report;
  report.kernel = program.name;
  report.grid = grid;
  report.block = block;
  report.shared_bytes = launch.shared_bytes;
  blocks.report(report);
  if (monitor) monitor->add_counts(report.counters);
  if (!options.check_initialised) {  // what the kernel wrote is not known exactly: nothing may be called uninitialised later
    for (const auto& [address, allocation] : memory.allocations()) {
      if (allocation->live) allocation->written.add(0, allocation->size_bytes);
    }
  }
  return report;
}

}  // namespace winnow::gpusim
