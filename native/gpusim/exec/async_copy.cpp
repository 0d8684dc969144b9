// cp.async: global to shared memory. Lazily, the bytes move when the issuing thread waits for them, so that a missing
// wait shows in the results; at once otherwise.
#include <algorithm>
#include <cstring>

#include "decode/encoder.h"
#include "exec/access.h"

namespace winnow::gpusim {
namespace {

void perform(Warp& w, const AsyncCopy& copy, uint32_t lanes) {
  uint8_t* shared = w.block->shared.data();
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int l = __builtin_ctz(rest);
    uint8_t* to = shared + copy.target[l];
    std::memcpy(to, copy.source[l], copy.source_bytes[l]);
    std::memset(to + copy.source_bytes[l], 0, copy.bytes - copy.source_bytes[l]);
  }
  if (w.block->monitor) w.block->monitor->async_arrived(w.index, lanes, copy.bytes, copy.target);
}

// op: target (shared), source (global), source bytes; flags bit 0: source bytes are given. The displacement of the
// source is in `immediate`, that of the target in op[3].
void copy_async(Warp& w, const Instruction& i, uint32_t lanes) {
  Block& block = *w.block;
  const uint32_t bytes = i.bytes;
  AsyncCopy copy;
  copy.lanes = lanes;
  copy.bytes = bytes;
  const uint32_t* given = w.at<uint32_t>(i.op[2]);
  uint32_t full = 0, part = 0;
  for (uint32_t l = 0; l < kWarpSize; ++l) {
    const uint32_t wanted = (i.flags & 1) != 0 ? given[l] : bytes;
    if (wanted > bytes && (lanes >> l & 1) != 0)
      w.fault(FindingKind::kIllegalInstruction, 719, i, l,
              "cp.async reads " + std::to_string(wanted) + " bytes to write " + std::to_string(bytes));
    copy.source_bytes[l] = wanted;
    full |= static_cast<uint32_t>(wanted == bytes) << l;
    part |= static_cast<uint32_t>(wanted != 0 && wanted != bytes) << l;
  }
  full &= lanes;
  part &= lanes;

  if (full != 0) {
    Lanes source;  // ends here: no second lock beside a first
    resolve(w, i, full, 1, bytes, AccessKind::kAsyncSource, source);
    std::copy_n(source.pointer, kWarpSize, copy.source);
  }
  for (uint32_t rest = part; rest != 0; rest &= rest - 1) {  // byte by byte: any number of them may be in bounds
    const auto l = static_cast<uint32_t>(__builtin_ctz(rest));
    Lanes whole;
    compute_addresses(w, i, 1u << l, 1, whole);
    if (whole.address[l] % bytes != 0)
      w.fault(FindingKind::kMisaligned, 716, i, l,
              "the source of a copy of " + std::to_string(bytes) + " bytes is not aligned to them");
    for (uint32_t k = 0; k < copy.source_bytes[l]; ++k) {
      Lanes one;
      std::fill_n(one.address, kWarpSize, whole.address[l] + k);
      resolve_addresses(w, i, 1u << l, 1, AccessKind::kAsyncSource, AddressSpace::kGlobal, one);
      if (k == 0) copy.source[l] = one.pointer[l];
    }
  }
  for (uint32_t l = 0; l < kWarpSize; ++l) {
    if (copy.source_bytes[l] == 0) copy.source[l] = block.shared.data();  // nothing is read
    block.counters.async_copy_bytes += (lanes >> l & 1) != 0 ? copy.source_bytes[l] : 0;
  }

  Instruction to = i;  // the target has an address of its own
  to.immediate = static_cast<int32_t>(i.op[3]);
  to.address_bytes = i.flags >> 4;
  Lanes target;
  compute_addresses(w, to, lanes, 0, target);
  resolve_addresses(w, to, lanes, bytes, AccessKind::kAsyncTarget, AddressSpace::kShared, target);
  std::copy_n(target.address, kWarpSize, copy.target);
  std::copy_n(w.batch, kWarpSize, copy.batch);
  if (block.launch.options->lazy_async_copies) {
    w.copies.push_back(copy);
    return;
  }
  if (block.monitor) {  // the bytes are there, but nobody may rely on it before the wait
    copy.bytes = bytes;
    w.copies.push_back(copy);
  }
  uint8_t* shared = block.shared.data();
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int l = __builtin_ctz(rest);
    uint8_t* at = shared + copy.target[l];
    std::memcpy(at, copy.source[l], copy.source_bytes[l]);
    std::memset(at + copy.source_bytes[l], 0, bytes - copy.source_bytes[l]);
  }
}

void commit(Warp& w, const Instruction&, uint32_t lanes) {
  for (uint32_t l = 0; l < kWarpSize; ++l) w.batch[l] += lanes >> l & 1;
}

// Completes all but the `immediate` latest groups of each thread; -1: everything, committed or not.
void wait(Warp& w, const Instruction& i, uint32_t lanes) {
  const bool lazy = w.block->launch.options->lazy_async_copies;
  size_t kept = 0;
  for (size_t k = 0; k < w.copies.size(); ++k) {
    AsyncCopy& copy = w.copies[k];
    uint32_t due = 0;
    for (uint32_t l = 0; l < kWarpSize; ++l) {
      due |= static_cast<uint32_t>(i.immediate < 0 || copy.batch[l] + static_cast<uint64_t>(i.immediate) < w.batch[l])
             << l;
    }
    due &= copy.lanes & lanes;
    if (due != 0) {
      if (lazy) {
        perform(w, copy, due);
      } else if (w.block->monitor) {
        w.block->monitor->async_arrived(w.index, due, copy.bytes, copy.target);
      }
    }
    copy.lanes &= ~due;
    if (copy.lanes != 0) {
      if (kept != k) w.copies[kept] = copy;
      ++kept;
    }
  }
  w.copies.resize(kept);
}

// cp.async.cg.shared.global [target], [source], 16{, source bytes}
void encode_copy(Encoder& e) {
  e.require_operands(3, 4);
  const uint64_t bytes = e.integer(e.operand(2));
  const bool cached_globally = e.match.has(".cg");
  if (bytes != 16 && (cached_globally || (bytes != 4 && bytes != 8)))
    e.fail("copies of " + std::to_string(bytes) + " bytes are not permitted");
  e.address(0, e.operand(0), AddressSpace::kShared);
  e.out.op[3] = static_cast<Slot>(static_cast<int32_t>(e.out.immediate));
  const uint8_t target_bytes = e.out.address_bytes;
  e.address(1, e.operand(1), AddressSpace::kGlobal);
  e.out.bytes = static_cast<uint8_t>(bytes);
  e.out.op[2] = kZero64;
  e.out.flags = static_cast<uint8_t>(target_bytes << 4);
  if (e.num_operands() == 4) {
    e.use(2, e.operand(3), Type::kU32);
    e.out.flags |= 1;
  }
  e.out.run = copy_async;
}
void encode_commit(Encoder& e) {
  e.require_operands(0, 0);
  e.out.run = commit;
}
void encode_wait_group(Encoder& e) {
  e.require_operands(1, 1);
  e.out.immediate = static_cast<int64_t>(e.integer(e.operand(0)));
  e.out.run = wait;
}
void encode_wait_all(Encoder& e) {
  e.require_operands(0, 0);
  e.out.immediate = -1;
  e.out.run = wait;
}

}  // namespace

const Forms& async_copy_forms() {
  static const Forms forms = {
      {"cp.async(.ca,.cg)(.shared,.shared::cta).global{.L2::64B,.L2::128B,.L2::256B}", nullptr, nullptr, encode_copy},
      {"cp.async.commit_group", nullptr, nullptr, encode_commit},
      {"cp.async.wait_group", nullptr, nullptr, encode_wait_group},
      {"cp.async.wait_all", nullptr, nullptr, encode_wait_all},
  };
  return forms;
}

}  // namespace winnow::gpusim
