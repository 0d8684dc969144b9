// What is remembered about memory while a kernel runs: last writer and last reader of every piece.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "check/access_key.h"

namespace winnow::gpusim {

constexpr uint64_t kPageBytes = 1024;
constexpr int kCoarsestShift = 4;

// The keys of kPageBytes bytes of memory, one per piece of 1 << shift bytes. Pieces have 16 bytes at first. An access
// that is narrower than a piece or not aligned to it divides all pieces of the page. So two accesses share a piece only
// if they share bytes.
struct ShadowPage {
  int shift = kCoarsestShift;
  bool used = false;
  std::vector<AccessKey> writers, readers;

  void use() {
    if (used) return;
    used = true;
    writers.assign(kPageBytes >> shift, 0);
    readers.assign(kPageBytes >> shift, 0);
  }
  void divide(int finer) {
    if (!used) {
      shift = finer;
      return;
    }
    const size_t parts = size_t{1} << (shift - finer);
    const auto spread = [&](std::vector<AccessKey>& keys) {
      std::vector<AccessKey> divided(keys.size() * parts);
      for (size_t i = 0; i < divided.size(); ++i) divided[i] = keys[i / parts];
      keys.swap(divided);
    };
    spread(writers);
    spread(readers);
    shift = finer;
  }
};

}  // namespace winnow::gpusim
