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
  Finding found;
  locate_(instruction, found);
  std::string name = "ptx line " + std::to_string(found.ptx_line);
  if (!found.source.empty()) name += ", " + found.source + ":" + std::to_string(found.source_line);
  return name;
}

std::pair<std::string, int> FindingLog::source_line(uint32_t instruction) const {
  Finding found;
  locate_(instruction, found);
  return {found.source, found.source.empty() ? found.ptx_line : found.source_line};
}

void FindingLog::add(FindingKind kind, Dim3 block, uint32_t thread, uint32_t instruction, std::string message) {
  Finding finding;
  finding.kind = kind;
  finding.kernel = kernel_;
  finding.block = block;
  finding.thread = thread_index(thread);
  finding.message = std::move(message);
  locate_(instruction, finding);
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
