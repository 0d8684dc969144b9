#include "check/finding_log.h"

#include <algorithm>
#include <utility>

namespace winnow::gpusim {

FindingLog::FindingLog(std::string kernel, Dim3 grid, Dim3 block, Locate locate)
    : kernel_(std::move(kernel)), grid_(grid), block_(block), locate_(std::move(locate)) {}

Dim3 FindingLog::thread_index(uint32_t thread) const {
  return {thread % block_.x, thread / block_.x % block_.y, thread / block_.x / block_.y};
}

std::string FindingLog::thread_name(uint32_t thread) const {
  const Dim3 t = thread_index(thread);
  return "thread (" + std::to_string(t.x) + "," + std::to_string(t.y) + "," + std::to_string(t.z) + ")";
}

std::string FindingLog::place_name(uint32_t instruction) const {
  const Location at = locate_(instruction);
  return "ptx line " + std::to_string(at.ptx_line) + (at.chain.empty() ? "" : ", " + at.chain);
}

std::pair<std::string, int> FindingLog::source_line(uint32_t instruction) const {
  const Location at = locate_(instruction);
  return {at.source, at.source.empty() ? at.ptx_line : at.source_line};
}

bool FindingLog::same_place(uint32_t a, uint32_t b) const {
  const Location x = locate_(a), y = locate_(b);
  return x.chain.empty() ? x.ptx_line == y.ptx_line : x.chain == y.chain;
}

void FindingLog::add(FindingKind kind, Dim3 block, uint32_t thread, uint32_t instruction, std::string message) {
  Finding finding;
  finding.kind = kind;
  finding.kernel = kernel_;
  finding.block = block;
  finding.thread = thread_index(thread);
  finding.message = std::move(message);
  const Location at = locate_(instruction);
  finding.ptx_line = at.ptx_line;
  finding.source = at.source;
  finding.source_line = at.source_line;
  const uint64_t linear_block = block.x + uint64_t{grid_.x} * (block.y + uint64_t{grid_.y} * block.z);
  const uint64_t order = linear_block * 1024 + thread;

  const std::lock_guard<std::mutex> lock(mutex_);
  const int line = finding.source.empty() ? finding.ptx_line : finding.source_line;
  Entry& entry = entries_[{kind, finding.source, line}];
  if (entry.count++ == 0 || order < entry.order) {
    entry.order = order;
    entry.finding = std::move(finding);
  }
}

std::vector<Finding> FindingLog::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Finding> findings;
  for (auto& [key, entry] : entries_) {
    if (entry.count > 1) entry.finding.message += " (" + std::to_string(entry.count) + " times)";
    findings.push_back(std::move(entry.finding));
  }
  entries_.clear();
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.ptx_line < b.ptx_line; });
  if (findings.size() > kMaxFindings) findings.resize(kMaxFindings);
  return findings;
}

}  // namespace winnow::gpusim
