// A kernel ready to run: one decoded instruction per PTX instruction, calls expanded in place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "check/monitor.h"
#include "gpusim.h"
#include "ptx/syntax.h"

namespace winnow::gpusim {

struct Warp;
struct Instruction;

constexpr uint32_t kAllLanes = 0xFFFF'FFFF;

// Executes one instruction for the lanes whose bit is set: at least one.
using Handler = void (*)(Warp& warp, const Instruction& instruction, uint32_t lanes);

// Where 32 lanes of a value lie: a byte offset into the warp's registers or, with the highest bit set, into the
// program's constants. A predicate is one word with a bit per lane.
using Slot = uint32_t;
constexpr Slot kConstantSlot = 0x8000'0000;

enum class AddressSpace : uint8_t { kGlobal, kShared, kLocal, kParam, kGeneric };

// Where an instruction comes from, as in Statement.
struct Site {
  int ptx_line, source_file, source_line;
  std::vector<SourcePoint> source;
};

struct Instruction {
  Handler run = nullptr;
  Slot guard = 0;              // a predicate
  uint32_t guard_flip = 0;     // all ones for !%p
  Slot op[6] = {};             // in the order of the text: destination first; memory operands: the base
  const Slot* list = nullptr;  // registers of a vector operand, or more than op holds
  int64_t immediate = 0;       // displacement, branch target, barrier, MXCSR: as the handler says
  AddressSpace space = AddressSpace::kGlobal;
  uint8_t num_list = 0;
  uint8_t bytes = 0;          // accessed per lane
  uint8_t address_bytes = 8;  // width of the base register: 4 or 8
  uint8_t flags = 0;          // as the handler says
  uint32_t cache = 0;         // index of this instruction's translation (memory instructions)
  uint32_t index = 0;         // in the program
  MemoryOrder order = MemoryOrder::kWeak;
};

// Special registers lie before the first register, as lanes.
enum Special : uint32_t {
  kTidX,
  kTidY,
  kTidZ,
  kNTidX,
  kNTidY,
  kNTidZ,
  kCtaIdX,
  kCtaIdY,
  kCtaIdZ,
  kNCtaIdX,
  kNCtaIdY,
  kNCtaIdZ,
  kLaneId,
  kWarpId,
  kNWarpId,
  kSmId,
  kNSmId,
  kLaneMaskEq,
  kLaneMaskLt,
  kLaneMaskLe,
  kLaneMaskGt,
  kLaneMaskGe,
  kDynamicSharedBytes,
  kTotalSharedBytes,
  kNumSpecials
};
constexpr uint32_t kSpecialStride = 128;  // 32 lanes of 4 bytes

// Fixed places in the constants.
constexpr Slot kAlways = kConstantSlot | 0;  // predicate: all lanes
constexpr Slot kNever = kConstantSlot | 4;
constexpr Slot kZero64 = kConstantSlot | 256;  // 32 lanes of 64-bit zero

constexpr uint64_t kSharedBase = 1024;  // first shared address: zero stays invalid

struct Program : Kernel {
  std::vector<Instruction> code;
  std::vector<Site> sites;  // of each instruction
  std::vector<uint8_t> constants;
  std::vector<std::vector<Slot>> lists;
  std::vector<std::vector<uint32_t>> branch_tables;
  uint32_t register_bytes = 0;  // per warp, special registers included
  uint32_t num_caches = 0;
  std::vector<std::string> files;
};

}  // namespace winnow::gpusim
