#include "decode/registers.h"

#include <algorithm>

namespace winnow::gpusim {
namespace {

// Positions: an instruction at index i reads at 2 i and writes at 2 i + 1, so a result may take the place of an operand
// read last.
struct Interval {
  uint32_t begin = UINT32_MAX, end = 0;
  void include(uint32_t position) {
    begin = std::min(begin, position);
    end = std::max(end, position);
  }
};

class Liveness {
 public:
  explicit Liveness(const Decoding& d) : d_(d), intervals(d.function.registers.size()) {
    find_blocks();
    words_ = (intervals.size() + 63) / 64;
    for (auto* sets : {&in_, &uses_, &defines_}) sets->assign(blocks_.size() * words_, 0);
    collect();
    solve();
    extend();
  }

 private:
  struct BasicBlock {
    uint32_t begin, end;
    std::vector<uint32_t> successors;
  };

  void find_blocks() {
    const size_t n = d_.flows.size();
    std::vector<bool> starts(n + 1, false);
    starts[0] = true;
    for (size_t i = 0; i < n; ++i) {
      if (d_.flows[i].targets.empty() && d_.flows[i].falls_through) continue;
      starts[i + 1] = true;
      for (const uint32_t t : d_.flows[i].targets) starts[t] = true;
    }
    block_of_.resize(n);
    for (uint32_t i = 0; i < n; ++i) {
      if (starts[i]) blocks_.push_back({i, i, {}});
      blocks_.back().end = i + 1;
      block_of_[i] = static_cast<uint32_t>(blocks_.size() - 1);
    }
    for (BasicBlock& b : blocks_) {
      const Flow& flow = d_.flows[b.end - 1];
      for (const uint32_t t : flow.targets) b.successors.push_back(block_of_[t]);
      if (flow.falls_through && b.end < n) b.successors.push_back(block_of_[b.end]);
    }
  }

  bool test(const std::vector<uint64_t>& sets, size_t block, uint32_t reg) const {
    return (sets[block * words_ + reg / 64] >> (reg % 64) & 1) != 0;
  }
  void set(std::vector<uint64_t>& sets, size_t block, uint32_t reg) const {
    sets[block * words_ + reg / 64] |= uint64_t{1} << (reg % 64);
  }

  void collect() {
    // References come in order of instructions, but a destination is named before the sources that are read earlier.
    std::vector<Reference> ordered(d_.references);
    std::stable_sort(ordered.begin(), ordered.end(), [](const Reference& a, const Reference& b) {
      return a.instruction != b.instruction ? a.instruction < b.instruction : a.defines < b.defines;
    });
    for (const Reference& r : ordered) {
      const uint32_t block = block_of_[r.instruction];
      intervals[r.reg].include(2 * r.instruction + (r.defines ? 1 : 0));
      // A guarded write leaves other lanes' old values: it reads, too.
      const bool reads = !r.defines || d_.program.code[r.instruction].guard != kAlways;
      if (reads && !test(defines_, block, r.reg)) set(uses_, block, r.reg);
      if (r.defines) set(defines_, block, r.reg);
    }
  }

  void solve() {
    in_ = uses_;
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t b = blocks_.size(); b-- > 0;) {
        for (size_t w = 0; w < words_; ++w) {
          uint64_t out = 0;
          for (const uint32_t s : blocks_[b].successors) out |= in_[s * words_ + w];
          const uint64_t in = in_[b * words_ + w] | (out & ~defines_[b * words_ + w]);
          changed |= in != in_[b * words_ + w];
          in_[b * words_ + w] = in;
        }
      }
    }
  }

  void extend() {
    for (size_t b = 0; b < blocks_.size(); ++b) {
      for (uint32_t reg = 0; reg < intervals.size(); ++reg) {
        if (test(in_, b, reg)) intervals[reg].include(2 * blocks_[b].begin);
        for (const uint32_t s : blocks_[b].successors) {
          if (test(in_, s, reg)) intervals[reg].include(2 * blocks_[b].end - 1);
        }
      }
    }
  }

  const Decoding& d_;
  std::vector<BasicBlock> blocks_;
  std::vector<uint32_t> block_of_;
  size_t words_ = 0;
  std::vector<uint64_t> in_, uses_, defines_;

 public:
  std::vector<Interval> intervals;
};

}  // namespace

void assign_registers(Decoding& decoding) {
  const Liveness liveness(decoding);
  const auto& registers = decoding.function.registers;
  std::vector<uint32_t> order;
  for (uint32_t r = 0; r < registers.size(); ++r) {
    if (liveness.intervals[r].begin != UINT32_MAX) order.push_back(r);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const uint32_t x = liveness.intervals[a].begin, y = liveness.intervals[b].begin;
    return x != y ? x < y : a < b;
  });

  // Places of one width are shared only among registers of that width: a result never overlaps half of an operand.
  struct Place {
    Slot slot;
    uint32_t busy_until;
  };
  std::vector<Place> places[9];  // by bytes per lane
  std::vector<Slot> slots(registers.size(), 0);
  uint32_t end = kNumSpecials * kSpecialStride;
  // Predicates last: they are narrow, and every lane array stays aligned.
  std::stable_partition(order.begin(), order.end(), [&](uint32_t r) { return registers[r].type != Type::kPred; });
  for (const uint32_t r : order) {
    const uint32_t lane_bytes = storage_bytes(registers[r].type);
    const Interval& interval = liveness.intervals[r];
    Place* place = nullptr;
    for (Place& p : places[lane_bytes]) {
      if (p.busy_until < interval.begin) {
        place = &p;
        break;
      }
    }
    if (place == nullptr) {
      const uint32_t bytes = lane_bytes == 0 ? sizeof(uint32_t) : 32 * lane_bytes;
      places[lane_bytes].push_back({end, 0});
      place = &places[lane_bytes].back();
      end += bytes;
    }
    place->busy_until = interval.end;
    slots[r] = place->slot;
  }
  for (const Reference& reference : decoding.references) *reference.slot = slots[reference.reg];
  decoding.program.register_bytes = (end + 63) / 64 * 64;
}

}  // namespace winnow::gpusim
