#include "driver/report_log.h"

#include <cstdio>

#include "stat/report.h"

namespace winnow::gpusim {
namespace {

// A JSON string of ASCII characters: what a kernel prints need not be UTF-8, so other bytes are taken as Latin-1.
std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
    if (byte < 0x20 || byte > 0x7e || c == '"' || c == '\\') {
      json += escape;
    } else {
      json += c;
    }
  }
  return json + '"';
}

void append(std::string& array, const std::string& element) { array += (array.empty() ? "" : ",") + element; }

}  // namespace

void ReportLog::found(const std::string& call, const std::string& message) {
  Finding finding;
  finding.kind = FindingKind::kHostMisuse;
  finding.kernel = call;
  finding.message = message;
  findings.push_back(std::move(finding));
}

std::string ReportLog::take_json() {
  std::string all_findings, all_refused;
  for (const Finding& finding : findings) append(all_findings, quoted(finding.kernel + ": " + finding.message));
  for (const LaunchReport& launch : launches) {
    for (const Finding& finding : launch.findings) append(all_findings, quoted(describe(finding)));
  }
  for (const RefusedCall& call : refused) {
    append(all_refused, quoted(call.call + " = " + std::to_string(call.error) + ": " + call.message));
  }
  const std::string json = "{\"launches\":" + to_json(launches) + ",\"findings\":[" + all_findings + "],\"refused\":[" +
                           all_refused + "],\"graph_launches\":" + std::to_string(graph_launches) + "}";
  *this = {};
  return json;
}

}  // namespace winnow::gpusim
