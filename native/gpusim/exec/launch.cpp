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
constexpr unsigned kDefaultMxcsr = 0x1F80;  // round to nearest even, denormals kept, no traps

struct Printed {
  uint64_t turn;
  std::string text;
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

// Blocks are handed out in ascending order; the seed chooses the first one. After an error, blocks before the failing
// one still run and may fail too. The report names the first failing block in order, so it does not depend on the
// number of host threads.
class Blocks {
 public:
  Blocks(const Launch& launch, uint64_t num_blocks)
      : launch_(launch),
        num_blocks_(num_blocks),
        first_(launch.options->seed == 0 ? 0 : launch.options->seed % num_blocks) {}

  void work() {
    const unsigned mxcsr = _mm_getcsr();
    _mm_setcsr(kDefaultMxcsr);
    Block block(launch_);
    Counters counters;
    for (uint64_t turn; (turn = next_++) < num_blocks_ && turn < failed_;) {
      const uint64_t index = (first_ + turn) % num_blocks_;
      try {
        block.run(index);
      } catch (const Fault& fault) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (turn < failed_) {
          failed_ = turn;
          fault_ = std::make_unique<Fault>(fault);
          fault_block_ = block.id;
        }
      }
      add(counters, block.counters);
      if (block.printed.empty()) continue;
      const std::lock_guard<std::mutex> lock(mutex_);
      printed_.push_back({turn, std::move(block.printed)});
    }
    _mm_setcsr(mxcsr);
    const std::lock_guard<std::mutex> lock(mutex_);
    add(counters_, counters);
  }

  void report(LaunchReport& to, FindingLog& log) {
    std::sort(printed_.begin(), printed_.end(), [](const Printed& a, const Printed& b) { return a.turn < b.turn; });
    for (const Printed& p : printed_) {
      if (p.turn <= failed_) to.printed += p.text;
    }
    to.counters = counters_;
    std::vector<Finding> others = log.take();
    if (fault_ != nullptr) {  // first: it is why the kernel ended
      log.add(fault_->kind, fault_block_, fault_->warp * kWarpSize + fault_->lane, fault_->instruction,
              fault_->message);
      to.findings = log.take();
      to.error = fault_->error;
    }
    to.findings.insert(to.findings.end(), others.begin(), others.end());
  }

 private:
  const Launch& launch_;
  const uint64_t num_blocks_, first_;
  std::atomic<uint64_t> next_{0}, failed_{std::numeric_limits<uint64_t>::max()};
  std::mutex mutex_;  // guards what follows
  std::vector<Printed> printed_;
  Counters counters_;
  std::unique_ptr<Fault> fault_;
  Dim3 fault_block_;
};

Location location(const Program& program, uint32_t instruction) {
  const Site& site = program.sites[instruction];
  const auto file = [&](int number) {
    return static_cast<size_t>(number) < program.files.size() ? program.files[static_cast<size_t>(number)] : "";
  };
  Location at;
  at.ptx_line = site.ptx_line;
  if (site.source_line == 0) return at;  // code that belongs to no line
  at.source = file(site.source_file);
  at.source_line = site.source_line;
  for (const SourcePoint& point : site.source) {
    if (!at.chain.empty()) at.chain += ", called at ";
    at.chain += file(point.file) + ":" + std::to_string(point.line) + ":" + std::to_string(point.column);
  }
  return at;
}

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
  const Dim3 required = program.required_block;
  require(required.x == 0 || block == required, program.name + ": the block must be " + std::to_string(required.x) +
                                                    " x " + std::to_string(required.y) + " x " +
                                                    std::to_string(required.z) + " threads, as it states");
  require(uint64_t{program.static_shared_bytes} + dynamic_shared_bytes <= kMaxSharedBytes,
          program.name + ": more than " + std::to_string(kMaxSharedBytes) + " bytes of shared memory");
  require(bytes == program.parameter_bytes, program.name + " takes " + std::to_string(program.parameter_bytes) +
                                                " bytes of arguments, found " + std::to_string(bytes));

  const uint64_t num_cores = std::max(1u, std::thread::hardware_concurrency());
  const uint64_t num_workers =
      std::min(options.num_threads > 0 ? static_cast<uint64_t>(options.num_threads) : num_cores, num_blocks);
  FindingLog log(program.name, grid, block, [&](uint32_t instruction) { return location(program, instruction); });
  const std::unique_ptr<Monitor> monitor = make_monitor(
      options, memory,
      {grid, block, program.local_bytes, static_cast<uint32_t>(program.code.size()), static_cast<int>(num_workers)},
      log);
  const Launch launch{&memory,
                      &program,
                      &options,
                      monitor.get(),
                      &log,
                      grid,
                      block,
                      program.static_shared_bytes + dynamic_shared_bytes,
                      dynamic_shared_bytes,
                      static_cast<const uint8_t*>(packed_arguments)};
  Blocks blocks(launch, num_blocks);
  std::vector<std::thread> workers;
  for (uint64_t i = 1; i < num_workers; ++i) workers.emplace_back([&] { blocks.work(); });
  blocks.work();
  for (std::thread& worker : workers) worker.join();

  LaunchReport report;
  report.kernel = program.name;
  report.grid = grid;
  report.block = block;
  report.shared_bytes = launch.shared_bytes;
  blocks.report(report, log);
  if (monitor) {
    monitor->finish(report.counters);
  } else {  // what the kernel wrote is not known: nothing may be called uninitialised later
    for (Allocation* allocation : memory.live_allocations()) allocation->written.add(0, allocation->size_bytes);
  }
  return report;
}

}  // namespace winnow::gpusim
