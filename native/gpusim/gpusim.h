// gpusim executes PTX on the CPU, instruction by instruction, so that the shipped kernels can be tested on machines
// without a GPU. It proves results, bounds, synchronisation and memory traffic; it says nothing about time.
//
//   Memory memory;
//   auto module = Module::load(ptx_text, memory);
//   uint64_t x = memory.allocate(4 * n);
//   const Kernel& scale = *module->kernel("scale");
//   LaunchReport report = run(memory, *module, scale, {blocks}, {256}, 0, &arguments, sizeof(arguments), {});
//
// Each host thread runs one block to its end before it starts the next. A kernel in which a block waits for another one
// (a barrier of the grid, look-back) is not supported. If the other block comes later, the launch fails with error 702
// when num_threads = 1. With more threads it may pass.
//
// Threads: run() starts its own threads and returns when the kernel has ended. Only one call at a time may use a
// Memory; the caller serialises them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::gpusim {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  bool operator==(const Dim3& other) const { return x == other.x && y == other.y && z == other.z; }
};

// The text is not PTX that this interpreter executes exactly as the PTX manual says. what() names line and text.
class PtxError : public std::runtime_error {
 public:
  PtxError(int line, const std::string& found)
      : std::runtime_error("PTX line " + std::to_string(line) + ": " + found), line_(line) {}
  int line() const { return line_; }

 private:
  int line_;
};

// A copy by the host touches bytes outside every live allocation.
class MemoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  uint64_t seed = 0;  // order of warps and length of their turns; 0 = ascending, long turns
  bool lazy_async_copies =
      true;  // cp.async moves its bytes at the wait (true) or at once (false); a correct kernel sees no difference
  bool check_races = true;  // shared and global memory
  bool check_initialised = true;
  bool count = true;         // memory counters and touched bytes; the instruction counters are always kept
  bool count_lines = false;  // the same per source line
  int num_threads = 0;       // host threads that blocks are spread over; 0 = one per core
  uint64_t max_instructions = 200'000'000;  // warp instructions of one block, error 702 beyond: the kernel hangs
};

struct Allocation;  // mem/allocation.h

// The device's address space. Addresses start at 0x7000'0000'0000 and are never used twice. Gaps between allocations
// make every access outside a live allocation visible. The host faults if it dereferences such an address. Fresh bytes
// hold 0xA5.
class Memory {
 public:
  Memory();
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint64_t allocate(uint64_t size_bytes);  // 256-byte aligned; std::bad_alloc when the host has no memory
  void free(uint64_t address);             // std::invalid_argument unless the start of a live allocation

  // Copies between host and device: MemoryError unless all n bytes lie in one live allocation. Writing initialises.
  void read(uint64_t address, void* to, uint64_t n) const;
  void write(uint64_t address, const void* from, uint64_t n);
  void fill(uint64_t address, uint8_t value, uint64_t n);
  void copy(uint64_t to, uint64_t from,
            uint64_t n);  // device to device, ranges may overlap; carries initialisation along

  // Bytes of [address, address + n) that kernels loaded (stored) since the last reset; counted while Options::count.
  uint64_t distinct_bytes_read(uint64_t address, uint64_t n) const;
  uint64_t distinct_bytes_written(uint64_t address, uint64_t n) const;
  void reset_touched();

  // For the interpreter and its checks. Returns the allocation that holds the address, live or freed; otherwise the
  // nearest one below; null if there is none.
  Allocation* find(uint64_t address) const;
  // The host's pointer to n bytes of one live allocation; MemoryError otherwise. `purpose` is for the message ("copy to
  // host").
  uint8_t* host(uint64_t address, uint64_t n, const char* purpose) const;
  const std::vector<Allocation*>& live_allocations() const { return live_; }  // in no order; each at its index

 private:
  std::map<uint64_t, std::unique_ptr<Allocation>> allocations_;  // by address; freed ones stay, without their bytes
  std::vector<Allocation*> live_;  // a launch costs nothing for those that were freed before it
  uint64_t next_address_;
};

struct Parameter {
  uint32_t offset, size_bytes, alignment;
};

// An entry of a module.
class Kernel {
 public:
  virtual ~Kernel() = default;
  std::string name;
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  uint32_t static_shared_bytes = 0;
  uint32_t local_bytes = 0;            // per thread
  uint32_t max_threads_per_block = 0;  // from .maxntid or .reqntid; 0 = not stated (1024)
  Dim3 required_block{0, 0, 0};        // from .reqntid; zeros = not stated
};

struct Global {
  std::string name;
  uint64_t address, size_bytes;
};

class Module {
 public:
  // PtxError names the first instruction that is not supported exactly. Global variables are allocated in `memory`,
  // which must outlive the module.
  static std::unique_ptr<Module> load(std::string_view ptx, Memory& memory);
  virtual ~Module() = default;
  virtual const Kernel* kernel(std::string_view name) const = 0;  // null when there is none
  virtual const Global* global(std::string_view name) const = 0;
  virtual std::vector<const Kernel*> kernels() const = 0;
  virtual bool has_globals() const = 0;  // otherwise it has no state: one object will do for every use of the text
};

// Every reason for which Module::load would refuse the text, by line: all unsupported instructions, or the first syntax
// error.
std::vector<PtxError> find_unsupported(std::string_view ptx);

enum class FindingKind {
  kIllegalAddress,  // outside every live allocation, or of the block's shared, local or parameter memory; error 700
  kUseAfterFree,    // error 700
  kMisaligned,      // error 716
  kUninitialisedRead,
  kSharedRace,
  kGlobalRace,
  kAsyncCopyPending,  // bytes of a cp.async that its thread has not waited for
  kDivergentBarrier,  // one barrier reached at different instructions: by one warp, or by warps at different places of
                      // the source or by different calls of it; copies by the compiler of one place are one barrier
  kDeadlock,          // nobody left who could release those who wait; error 719
  kWarpSync,          // the member mask names lanes that cannot take part
  kAssertion,         // error 710
  kTimeout,           // the instruction budget is spent; error 702
  kIllegalInstruction,  // trap, or operands that the instruction does not permit; error 719
  kHostMisuse,          // found by the driver: the host reads what a stream has not finished, and the like
};
const char* name(FindingKind kind);  // "illegal address"

struct Finding {
  FindingKind kind;
  std::string kernel;
  Dim3 block{0, 0, 0}, thread{0, 0, 0};
  int ptx_line = 0;
  std::string source;  // the .cu file as PTX's .file names it; empty without -lineinfo
  int source_line = 0;
  std::string message;
};
std::string describe(const Finding& finding);  // one line with everything above

// Traffic of one launch with one allocation that was live at its start. Sectors: distinct 32-byte pieces per warp
// instruction.
struct AllocationTraffic {
  uint64_t address = 0, size_bytes = 0;
  uint64_t load_bytes = 0, load_sectors = 0, store_bytes = 0, store_sectors = 0;
  uint64_t distinct_load_bytes = 0, distinct_store_bytes = 0;
};

// What the memory instructions of one source line did in one launch; meaning as in Counters.
struct InstructionTraffic {
  uint64_t global_load_requests = 0, global_load_bytes = 0, global_load_sectors = 0;
  uint64_t global_store_requests = 0, global_store_bytes = 0, global_store_sectors = 0;
  uint64_t async_copy_bytes = 0;
  uint64_t shared_wavefronts = 0, shared_ideal_wavefronts = 0;
};
struct LineTraffic {
  std::string source;  // empty without -lineinfo: `line` is then of the PTX
  int line = 0;
  InstructionTraffic traffic;
};

// Counters of one launch. A request is one warp instruction. Bytes are those of active lanes. Loads include cp.async
// and atomics that return a value; stores include all atomics.
struct Counters {
  uint64_t thread_instructions = 0, warp_instructions = 0, mma = 0, branches = 0, divergent_branches = 0;
  uint64_t global_load_requests = 0, global_load_bytes = 0, global_load_sectors = 0;
  uint64_t global_store_requests = 0, global_store_bytes = 0, global_store_sectors = 0;
  uint64_t async_copy_bytes = 0;
  uint64_t shared_wavefronts = 0, shared_ideal_wavefronts = 0;
  uint64_t atomics = 0, barriers = 0;          // atomics: thread operations; barriers: warp instructions
  std::vector<AllocationTraffic> allocations;  // those that were accessed
  std::vector<LineTraffic> lines;              // with Options::count_lines, those that accessed memory
};

struct LaunchReport {
  std::string kernel;
  Dim3 grid, block;
  uint32_t shared_bytes = 0;  // static and dynamic
  Counters counters;
  std::vector<Finding> findings;
  std::string printed;  // by printf in the kernel, blocks in ascending order
  int error = 0;        // 0, or the CUresult that a GPU would give: 700, 702, 710, 716, 719
};

// Runs one kernel to its end or to its first error. Throws std::invalid_argument if the launch itself is wrong: more
// than 1024 threads, another number of threads than the kernel requires, more than 227 KiB of shared memory, an empty
// grid, or `bytes` different from the kernel's parameter_bytes.
LaunchReport run(Memory& memory, const Module& module, const Kernel& kernel, Dim3 grid, Dim3 block,
                 uint32_t dynamic_shared_bytes, const void* packed_arguments, size_t bytes, const Options& options);

}  // namespace winnow::gpusim
