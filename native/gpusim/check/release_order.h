// Order that fences and atomics make between threads, of one block or of several (the PTX manual's release and acquire
// patterns).
//
// A fence publishes what its thread has done and knows. A later strong write (atomic, volatile or stronger) to an
// address releases what is published there; an atomic that reads the address, or a strong load followed by a fence,
// acquires all that was released there before. So "write, __threadfence, atomicAdd; the last one reads" is ordered, and
// without the fence it is not.
// The model is more lenient than the manual in three cases. An atomic acquires without a fence after it, as in the CUDA
// guide's own example. A fence of any scope acquires from other blocks. Accesses of .cta scope count as accesses of
// .gpu scope.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace winnow::gpusim {

struct SyncObject;

// The first `count` releases of an object, known to these lanes.
struct Acquired {
  const SyncObject* object;
  uint32_t count;
  uint32_t lanes;
};
void add_acquired(std::vector<Acquired>& list, const Acquired& acquired);

// Per thread of a block, the clock up to which its accesses are published. Empty = nothing.
struct Published {
  std::vector<uint32_t> device, block;  // by fences of device scope or wider; by any fence
  uint64_t version = 0;                 // differs after each change within one block
  bool empty() const { return block.empty(); }
  void join(const Published& other);
  void clear();
};

struct Release {
  uint32_t block;
  uint64_t version;
  Published published;
  std::vector<Acquired> acquired;  // what the releasing thread had acquired itself
};

struct SyncObject {
  std::deque<Release> releases;
  std::unordered_map<uint32_t, std::vector<uint32_t>> of_block;  // indices, ascending
};

// All synchronisation objects of one launch. Thread-safe.
class ReleaseOrder {
 public:
  void release(uint64_t address, uint32_t block, const Published& published, std::vector<Acquired> acquired);
  // What has been released at this address; count 0 when nothing has.
  Acquired acquire(uint64_t address, uint32_t lanes);
  // Whether one of `acquired` (of this lane) covers the access of `thread` (any lane of its warp if `whole_warp`) at
  // `clock`.
  bool covers(const std::vector<Acquired>& acquired, uint32_t lane, uint32_t block, bool same_block, uint32_t thread,
              bool whole_warp, uint32_t clock);
  bool used() const { return used_.load(std::memory_order_relaxed); }  // a hint: only spares work

 private:
  // One access of another thread, looked for among releases; `searched` holds what has been searched already.
  struct Search {
    uint32_t block, thread, clock;
    bool same_block, whole_warp;
    std::vector<Acquired> searched;
  };
  static bool covers(const Acquired& acquired, Search& search);

  std::mutex mutex_;
  std::atomic<bool> used_{false};
  std::unordered_map<uint64_t, std::unique_ptr<SyncObject>> objects_;
};

}  // namespace winnow::gpusim
