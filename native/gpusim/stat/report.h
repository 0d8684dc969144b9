// A launch's report as text: for people (a table) and for programs (JSON).
#pragma once

#include <string>
#include <vector>

#include "gpusim.h"

namespace winnow::gpusim {

// A table of counters, findings first. Its ratios show how well a kernel uses memory: requested bytes as a share of the
// bytes of all sectors, and wavefronts beyond the ideal.
std::string to_text(const LaunchReport& report);

// One object; keys are the members' names, findings carry kind by name(), dimensions are arrays of three.
std::string to_json(const LaunchReport& report);
std::string to_json(const Finding& finding);
std::string to_json(const std::vector<LaunchReport>& reports);

}  // namespace winnow::gpusim
