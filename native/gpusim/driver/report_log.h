// Everything that has happened since the tests last asked: reports of launches, hazards found by the driver, failed
// calls with the reason.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "driver/cuda_types.h"
#include "gpusim.h"

namespace winnow::gpusim {

// A call that returned an error. Not a finding: the caller has been told, and tests provoke errors on purpose.
struct RefusedCall {
  std::string call;
  CUresult error;
  std::string message;
};

struct ReportLog {
  std::vector<LaunchReport> launches;
  std::vector<Finding> findings;  // kHostMisuse; Finding::kernel holds the API function
  std::vector<RefusedCall> refused;
  uint64_t graph_launches = 0;

  void found(const std::string& call, const std::string& message);
  // {"launches": [...], "findings": ["..."], "refused": ["..."], "graph_launches": n}: launches as stat/report.h writes
  // them, the findings of the driver and of every launch as text.
  std::string take_json();
};

}  // namespace winnow::gpusim
