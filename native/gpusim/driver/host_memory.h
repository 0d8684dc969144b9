// Pinned host memory, which the driver allocated or the program registered. Freed memory is filled with 0xA5 and kept
// for a while. So a read after the free sees no old values, and a write after the free is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "driver/work.h"

namespace winnow::gpusim {

class HostMemory {
 public:
  enum class State { kPageable, kPinned, kPartlyPinned, kFreed };
  static constexpr uint8_t kPoison = 0xA5;

  ~HostMemory();
  void* allocate(size_t num_bytes, unsigned flags);  // null when the host has no memory; filled with kPoison
  bool free(void* pointer, const std::function<void(const std::string&)>& found);  // false: no allocation starts there
  bool add_registered(void* pointer, size_t num_bytes, unsigned flags);            // false: overlaps what is pinned
  bool remove_registered(void* pointer);
  void forget_registered();

  State state(const Range& range) const;
  struct Block {
    size_t num_bytes;
    unsigned flags;
    bool registered;
  };
  // The pinned block that holds the address and its start, or null.
  const Block* find(uint64_t address, uint64_t* start) const;
  // Looks at everything that was freed and is still kept.
  void check_freed(const std::function<void(const std::string&)>& found) const;

 private:
  static constexpr size_t kKeptBytes = size_t{64} << 20;
  struct Freed {
    uint8_t* bytes;
    size_t num_bytes;
  };
  static void check(const Freed& freed, const std::function<void(const std::string&)>& found);

  std::map<uint64_t, Block> blocks_;
  std::deque<Freed> freed_;
  size_t freed_bytes_ = 0;
};

}  // namespace winnow::gpusim
