// Collects what is found during one launch: one finding per kind and place, with the number of times it occurred.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gpusim.h"

namespace winnow::gpusim {

// Where an instruction comes from. Copies that the compiler made of one place have the same chain.
struct Location {
  int ptx_line = 0;
  std::string source;  // of a .cu file, empty if unknown
  int source_line = 0;
  std::string chain;  // "tile.cuh:3:5, called at add_cuda.cu:9:7", empty if unknown
};

// Thread-safe. The log keeps the occurrence of the lowest block, then of the lowest thread, so the number of host
// threads does not change the report.
class FindingLog {
 public:
  using Locate = std::function<Location(uint32_t instruction)>;

  FindingLog(std::string kernel, Dim3 grid, Dim3 block, Locate locate);

  // block is the index in the grid, thread in the block; `message` is everything but kind and place.
  void add(FindingKind kind, Dim3 block, uint32_t thread, uint32_t instruction, std::string message);

  // "thread (3,0,0)" for the thread with this index in its block.
  std::string thread_name(uint32_t thread) const;
  // "ptx line 93, tile.cuh:3:5, called at add_cuda.cu:9:7"
  std::string place_name(uint32_t instruction) const;
  // Source file and line; without them "" and the line of the PTX.
  std::pair<std::string, int> source_line(uint32_t instruction) const;
  // Whether both come from one place in the source, reached by the same calls.
  bool same_place(uint32_t a, uint32_t b) const;

  // The findings in the order of PTX lines, at most kMaxFindings. The message of a finding that occurred more than once
  // says how often.
  std::vector<Finding> take();

  static constexpr size_t kMaxFindings = 100;

 private:
  struct Entry {
    Finding finding;
    uint64_t order = 0;  // of block and thread
    uint64_t count = 0;
  };
  Dim3 thread_index(uint32_t thread) const;

  const std::string kernel_;
  const Dim3 grid_, block_;
  const Locate locate_;
  std::mutex mutex_;
  std::map<std::tuple<FindingKind, std::string, int>, Entry>
      entries_;  // by kind, source, line (ptx line without source)
};

}  // namespace winnow::gpusim
