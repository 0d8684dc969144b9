#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "stat/report.h"

namespace winnow::gpusim {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  char text[512];
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

std::string dimensions(const Dim3& d) { return format("(%u,%u,%u)", d.x, d.y, d.z); }

std::string number(const char* label, uint64_t value) {
  return format("  %-28s %16llu\n", label, static_cast<unsigned long long>(value));
}

double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string line_table(const std::vector<LineTraffic>& lines) {
  std::string text =
      "\n  by source line             loaded bytes   of sectors   stored bytes   of sectors   wavefronts      ideal\n";
  for (const LineTraffic& line : lines) {
    const InstructionTraffic& t = line.traffic;
    const std::string place = line.source.empty() ? "ptx" : line.source.substr(line.source.rfind('/') + 1);
    text +=
        format("  %-24s %14llu %11.1f%% %14llu %11.1f%% %12llu %10llu\n",
               (place + ":" + std::to_string(line.line)).c_str(), static_cast<unsigned long long>(t.global_load_bytes),
               100 * ratio(t.global_load_bytes, 32 * t.global_load_sectors),
               static_cast<unsigned long long>(t.global_store_bytes),
               100 * ratio(t.global_store_bytes, 32 * t.global_store_sectors),
               static_cast<unsigned long long>(t.shared_wavefronts),
               static_cast<unsigned long long>(t.shared_ideal_wavefronts));
  }
  return text;
}

}  // namespace

const char* name(FindingKind kind) {
  switch (kind) {
    case FindingKind::kIllegalAddress:
      return "illegal address";
    case FindingKind::kUseAfterFree:
      return "use after free";
    case FindingKind::kMisaligned:
      return "misaligned address";
    case FindingKind::kUninitialisedRead:
      return "uninitialised read";
    case FindingKind::kSharedRace:
      return "race in shared memory";
    case FindingKind::kGlobalRace:
      return "race in global memory";
    case FindingKind::kAsyncCopyPending:
      return "asynchronous copy not waited for";
    case FindingKind::kDivergentBarrier:
      return "divergent barrier";
    case FindingKind::kDeadlock:
      return "deadlock";
    case FindingKind::kWarpSync:
      return "warp synchronisation";
    case FindingKind::kAssertion:
      return "assertion";
    case FindingKind::kTimeout:
      return "timeout";
    case FindingKind::kIllegalInstruction:
      return "illegal instruction";
    case FindingKind::kHostMisuse:
      return "host misuse";
  }
  return "unknown";
}

std::string describe(const Finding& finding) {
  std::string text = std::string(name(finding.kind)) + ": " + finding.message + "; " + finding.kernel + ", block " +
                     dimensions(finding.block) + ", thread " + dimensions(finding.thread);
  if (finding.ptx_line > 0) text += ", ptx line " + std::to_string(finding.ptx_line);
  if (!finding.source.empty()) text += ", " + finding.source + ":" + std::to_string(finding.source_line);
  return text;
}

std::string to_text(const LaunchReport& report) {
  const Counters& c = report.counters;
  std::string text = report.kernel + ": grid " + dimensions(report.grid) + ", block " + dimensions(report.block) +
                     ", " + std::to_string(report.shared_bytes) + " bytes of shared memory";
  text += report.error == 0 ? "\n" : ", ERROR " + std::to_string(report.error) + "\n";
  text += report.findings.empty() ? "no findings\n" : std::to_string(report.findings.size()) + " findings\n";
  for (const Finding& finding : report.findings) text += "  " + describe(finding) + "\n";
  if (!report.printed.empty()) text += "printed\n" + report.printed;

  text += "counters\n";
  text += number("warp instructions", c.warp_instructions);
  text += number("thread instructions", c.thread_instructions);
  text += format("  %-28s %16.1f%%\n", "lanes active", 100 * ratio(c.thread_instructions, 32 * c.warp_instructions));
  text += number("mma", c.mma);
  text += number("branches", c.branches) + number("divergent branches", c.divergent_branches);
  text += number("barriers", c.barriers) + number("atomics", c.atomics);
  text += number("global load bytes", c.global_load_bytes) + number("global load sectors", c.global_load_sectors);
  text +=
      format("  %-28s %16.1f%%\n", "  bytes of sectors", 100 * ratio(c.global_load_bytes, 32 * c.global_load_sectors));
  text += number("global store bytes", c.global_store_bytes) + number("global store sectors", c.global_store_sectors);
  text += format("  %-28s %16.1f%%\n", "  bytes of sectors",
                 100 * ratio(c.global_store_bytes, 32 * c.global_store_sectors));
  text += number("asynchronous copy bytes", c.async_copy_bytes);
  text += number("shared wavefronts", c.shared_wavefronts) + number("  without conflicts", c.shared_ideal_wavefronts);
  text += format(
      "  %-28s %16.1f%%\n", "  excess",
      100 * (1 / ratio(c.shared_ideal_wavefronts, std::max(c.shared_ideal_wavefronts, c.shared_wavefronts)) - 1));
  if (!c.allocations.empty()) {
    text +=
        "\n  allocation               size   loaded bytes  distinct bytes   of sectors   stored bytes  distinct "
        "bytes\n";
    for (const AllocationTraffic& t : c.allocations) {
      text += format(
          "  0x%llx %14llu %14llu %15llu %11.1f%% %14llu %15llu\n", static_cast<unsigned long long>(t.address),
          static_cast<unsigned long long>(t.size_bytes), static_cast<unsigned long long>(t.load_bytes),
          static_cast<unsigned long long>(t.distinct_load_bytes), 100 * ratio(t.load_bytes, 32 * t.load_sectors),
          static_cast<unsigned long long>(t.store_bytes), static_cast<unsigned long long>(t.distinct_store_bytes));
    }
  }
  if (!c.lines.empty()) text += line_table(c.lines);
  return text;
}

}  // namespace winnow::gpusim
