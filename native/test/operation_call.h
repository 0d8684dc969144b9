// How the native tests call an operation.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "winnow/base/cpu.h"
#include "winnow/base/operation.h"

namespace winnow {

struct CloseCpu {
  void operator()(winnow_cpu* cpu) const { winnow_cpu_close(cpu); }
};
using OwnedCpu = std::unique_ptr<winnow_cpu, CloseCpu>;

inline OwnedCpu open_cpu(int32_t num_threads, winnow_instruction_set set = winnow_cpu_best_instruction_set()) {
  OwnedCpu cpu(winnow_cpu_open(set, num_threads));
  EXPECT_NE(cpu, nullptr) << winnow_last_error();
  return cpu;
}

// Status and detail in one value, to be compared in one line.
struct Ended {
  winnow_status status;
  int64_t detail;

  bool operator==(const Ended& other) const { return status == other.status && detail == other.detail; }
};

inline std::ostream& operator<<(std::ostream& out, const Ended& ended) {
  return out << "status " << ended.status << ", detail " << ended.detail;
}

template <typename Arguments>
Ended call(winnow_status (*operation)(const Arguments*, winnow_cpu*, int64_t*), const Arguments& arguments,
           const OwnedCpu& cpu) {
  int64_t detail = -77;  // an operation always tells one
  const winnow_status status = operation(&arguments, cpu.get(), &detail);
  return {status, detail};
}

constexpr Ended kDone{WINNOW_DONE, 0};

}  // namespace winnow
