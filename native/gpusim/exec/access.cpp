#include "exec/access.h"

#include <algorithm>
#include <cstdio>

namespace winnow::gpusim {
namespace {

const char* kind_name(AccessKind kind) {
  switch (kind) {
    case AccessKind::kLoad:
    case AccessKind::kMatrixLoad:
    case AccessKind::kAsyncSource:
      return "read";
    case AccessKind::kAtomic:
    case AccessKind::kReduction:
      return "atomic";
    default:
      return "write";
  }
}

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string access_name(AccessKind kind, const char* space, uint32_t bytes, uint64_t address) {
  return std::string("invalid ") + space + " " + kind_name(kind) + " of " + std::to_string(bytes) + " bytes at " +
         hex(address);
}

// A window that all threads of the block share (shared, parameters) or that each has (local).
struct Window {
  const char* name;
  uint64_t begin, end;
  uint8_t* bytes;   // of begin, lane 0
  uint64_t stride;  // from lane to lane
};

Window window_of(const Warp& w, AddressSpace space) {
  Block& b = *w.block;
  switch (space) {
    case AddressSpace::kShared:
      return {"shared", kSharedBase, b.shared_end(), b.shared.data(), 0};
    case AddressSpace::kLocal:
      return {"local", 0, b.program.local_bytes, w.local, b.program.local_bytes};
    default:
      return {"parameter", 0, b.program.parameter_bytes, const_cast<uint8_t*>(b.launch.parameters), 0};
  }
}

[[noreturn]] void misaligned(const Warp& w, const Instruction& i, uint32_t lane, AccessKind kind, const char* space,
                             uint32_t bytes, uint64_t address) {
  w.fault(FindingKind::kMisaligned, 716, i, lane, "misaligned " + access_name(kind, space, bytes, address).substr(8));
}

[[noreturn]] void outside_global(const Warp& w, const Instruction& i, uint32_t lane, AccessKind kind, uint32_t bytes,
                                 uint64_t address, const Allocation* below) {
  std::string message = access_name(kind, "global", bytes, address);
  if (below == nullptr) w.fault(FindingKind::kIllegalAddress, 700, i, lane, message + ", below every allocation");
  const uint64_t offset = address - below->address;
  const bool freed = !below->live && offset < below->size_bytes;
  message += ": " + std::to_string(offset) + " bytes past the start of a " + (below->live ? "live " : "freed ") +
             std::to_string(below->size_bytes) + "-byte allocation";
  w.fault(freed ? FindingKind::kUseAfterFree : FindingKind::kIllegalAddress, 700, i, lane, message);
}

void tell(Warp& w, const Instruction& i, uint32_t lanes, uint32_t bytes, AccessKind kind, AddressSpace space, Lanes& to,
          Allocation* allocation, const uint8_t* values) {
  if (space == AddressSpace::kParam) return;
  WarpAccess access;
  access.space = space == AddressSpace::kGlobal   ? Space::kGlobal
                 : space == AddressSpace::kShared ? Space::kShared
                                                  : Space::kLocal;
  access.kind = kind;
  access.order = i.order;
  access.instruction = i.index;
  access.warp = w.index;
  access.lanes = lanes;
  access.bytes = bytes;
  access.addresses = to.address;
  access.allocation = allocation;
  access.values = values;
  uint64_t apart = lanes == kAllLanes ? 0 : 1;
  for (uint64_t l = 0; l < kWarpSize; ++l) apart |= to.address[l] - to.address[0] - l * bytes;
  access.contiguous = apart == 0;
  to.monitor = w.block->monitor.get();
  to.held = to.monitor->before(access);
}

// Lanes that lie in different allocations, or do not lie in any. `lanes` may be a part of the warp's.
void resolve_global_each(Warp& w, const Instruction& i, uint32_t lanes, uint32_t bytes, AccessKind kind, Lanes& to,
                         const uint8_t* values) {
  Allocation* hit[kWarpSize];
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto l = static_cast<uint32_t>(__builtin_ctz(rest));
    const uint64_t address = to.address[l];
    if (address % bytes != 0) misaligned(w, i, l, kind, "global", bytes, address);
    hit[l] = w.block->launch.memory->find(address);
    const bool inside = hit[l] != nullptr && hit[l]->live && address - hit[l]->address < hit[l]->size_bytes &&
                        bytes <= hit[l]->size_bytes - (address - hit[l]->address);
    if (!inside) outside_global(w, i, l, kind, bytes, address, hit[l]);
    to.pointer[l] = hit[l]->bytes + (address - hit[l]->address);
  }
  for (uint32_t rest = lanes; rest != 0;) {
    Allocation* allocation = hit[__builtin_ctz(rest)];
    uint32_t same = 0;
    for (uint32_t l = 0; l < kWarpSize; ++l)
      same |= static_cast<uint32_t>((rest >> l & 1) != 0 && hit[l] == allocation) << l;
    rest &= ~same;
    w.block->translations[i.cache] = {allocation->address, allocation->size_bytes, allocation->bytes, allocation};
    if (!w.block->monitor) continue;
    tell(w, i, same, bytes, kind, AddressSpace::kGlobal, to, allocation, values);
    if (same != lanes && to.held != 0) {  // no second lock beside a first
      to.monitor->after(to.held);
      to.held = 0;
    }
  }
}

// Pointers and checks for all 32 lanes at once; false when a lane fails.
bool translate(Lanes& to, uint64_t begin, uint64_t size_bytes, uint8_t* base, uint64_t stride, uint32_t bytes) {
  if (size_bytes < bytes) return false;
  const uint64_t last = size_bytes - bytes, odd = bytes - 1;
  uint64_t bad = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    const uint64_t offset = to.address[l] - begin;
    // offset > last without an unsigned comparison, which AVX2 lacks: offsets of valid accesses are below 2^62.
    bad |= (last - offset) | offset | (0 - (to.address[l] & odd));
    to.pointer[l] = base + offset + stride * static_cast<uint64_t>(l);
  }
  return static_cast<int64_t>(bad) >= 0;
}

void resolve_window(Warp& w, const Instruction& i, uint32_t lanes, uint32_t bytes, AccessKind kind, AddressSpace space,
                    Lanes& to, const uint8_t* values) {
  const Window window = window_of(w, space);
  if (!translate(to, window.begin, window.end - window.begin, window.bytes, window.stride, bytes)) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
      const auto l = static_cast<uint32_t>(__builtin_ctz(rest));
      const uint64_t address = to.address[l];
      if (address < window.begin || address > window.end || bytes > window.end - address) {
        w.fault(FindingKind::kIllegalAddress, 700, i, l,
                access_name(kind, window.name, bytes, address) + ": the " + window.name + " memory is [" +
                    hex(window.begin) + ", " + hex(window.end) + ")");
      }
      if (address % bytes != 0) misaligned(w, i, l, kind, window.name, bytes, address);
    }
  }
  if (space == AddressSpace::kShared) {
    for (uint64_t& a : to.address) a -= kSharedBase;
  }
  if (w.block->monitor) tell(w, i, lanes, bytes, kind, space, to, nullptr, values);
}

AddressSpace space_of(uint64_t generic) {
  if (generic - kSharedWindow < kWindowBytes) return AddressSpace::kShared;
  if (generic - kLocalWindow < kWindowBytes) return AddressSpace::kLocal;
  return generic - kParamWindow < kWindowBytes ? AddressSpace::kParam : AddressSpace::kGlobal;
}

void resolve_generic(Warp& w, const Instruction& i, uint32_t lanes, uint32_t bytes, AccessKind kind, Lanes& to,
                     const uint8_t* values) {
  Lanes result;
  result.space = AddressSpace::kGeneric;
  for (uint32_t rest = lanes; rest != 0;) {
    const int first = __builtin_ctz(rest);
    const AddressSpace space = space_of(to.address[first]);
    const uint64_t window = space == AddressSpace::kGlobal ? 0 : to.address[first] / kWindowBytes * kWindowBytes;
    uint32_t same = 0;
    for (uint32_t l = 0; l < kWarpSize; ++l)
      same |= static_cast<uint32_t>((rest >> l & 1) != 0 && space_of(to.address[l]) == space) << l;
    rest &= ~same;
    Lanes part;
    for (int l = 0; l < kWarpSize; ++l)
      part.address[l] = ((same >> l & 1) != 0 ? to.address[l] : to.address[first]) - window;
    resolve_addresses(w, i, same, bytes, kind, space, part, values);
    if (same == lanes) {
      result.space = space;
      std::swap(to.held, part.held);
      to.monitor = part.monitor;
    }
    for (int l = 0; l < kWarpSize; ++l) {
      if ((same >> l & 1) == 0 && same != lanes) continue;
      result.pointer[l] = part.pointer[l];
      result.address[l] = part.address[l];
    }
  }
  const int first = __builtin_ctz(lanes);
  for (int l = 0; l < kWarpSize; ++l) {
    if ((lanes >> l & 1) == 0) result.pointer[l] = result.pointer[first];
  }
  to.space = result.space;
  std::copy_n(result.pointer, kWarpSize, to.pointer);
  std::copy_n(result.address, kWarpSize, to.address);
}

}  // namespace

void compute_addresses(Warp& w, const Instruction& i, uint32_t lanes, int base, Lanes& to) {
  const auto displacement = static_cast<uint64_t>(i.immediate);
  if (i.address_bytes == 8) {
    const uint64_t* a = w.at<uint64_t>(i.op[base]);
    for (int l = 0; l < kWarpSize; ++l) to.address[l] = a[l] + displacement;
  } else {
    const uint32_t* a = w.at<uint32_t>(i.op[base]);
    for (int l = 0; l < kWarpSize; ++l)
      to.address[l] = static_cast<uint32_t>(a[l] + static_cast<uint32_t>(displacement));
  }
  if (lanes != kAllLanes) {
    const uint64_t active = to.address[__builtin_ctz(lanes)];
    for (int l = 0; l < kWarpSize; ++l) to.address[l] = (lanes >> l & 1) != 0 ? to.address[l] : active;
  }
}

void resolve_addresses(Warp& w, const Instruction& i, uint32_t lanes, uint32_t bytes, AccessKind kind,
                       AddressSpace space, Lanes& to, const uint8_t* values) {
  to.space = space;
  if (space == AddressSpace::kGlobal) {
    const Translation& t = w.block->translations[i.cache];
    if (!translate(to, t.begin, t.size_bytes, t.bytes, 0, bytes)) {
      resolve_global_each(w, i, lanes, bytes, kind, to, values);
      for (int l = 0; l < kWarpSize; ++l) {
        if ((lanes >> l & 1) == 0) to.pointer[l] = to.pointer[__builtin_ctz(lanes)];
      }
    } else if (w.block->monitor) {
      tell(w, i, lanes, bytes, kind, space, to, t.allocation, values);
    }
  } else if (space == AddressSpace::kGeneric) {
    resolve_generic(w, i, lanes, bytes, kind, to, values);
  } else {
    resolve_window(w, i, lanes, bytes, kind, space, to, values);
  }
}

void resolve(Warp& w, const Instruction& i, uint32_t lanes, int base, uint32_t bytes, AccessKind kind, Lanes& to,
             const uint8_t* values) {
  compute_addresses(w, i, lanes, base, to);
  resolve_addresses(w, i, lanes, bytes, kind, i.space, to, values);
}

const uint8_t* resolve_one(Warp& w, const Instruction& i, uint32_t lane, uint64_t address, uint32_t bytes) {
  const AddressSpace space = space_of(address);
  if (space == AddressSpace::kGlobal) {
    const Allocation* a = w.block->launch.memory->find(address);
    if (a == nullptr || !a->live || address - a->address + bytes > a->size_bytes)
      outside_global(w, i, lane, AccessKind::kLoad, bytes, address, a);
    return a->bytes + (address - a->address);
  }
  const Window window = window_of(w, space);
  const uint64_t offset = address % kWindowBytes;
  if (offset < window.begin || offset + bytes > window.end) {
    w.fault(FindingKind::kIllegalAddress, 700, i, lane, access_name(AccessKind::kLoad, window.name, bytes, offset));
  }
  return window.bytes + (offset - window.begin) + window.stride * lane;
}

}  // namespace winnow::gpusim
