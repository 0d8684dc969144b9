#include "driver/report_log.h"

#include <cstdio>

namespace winnow::gpusim {
namespace {

// One JSON value after another; commas are the writer's business.
class Json {
 public:
  void begin(char bracket) {
    separate();
    text_ += bracket;
    first_ = true;
  }
  void end(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void name(const char* name) {
    string(name);
    text_ += ':';
    first_ = true;
  }
  void number(uint64_t value) {
    separate();
    text_ += std::to_string(value);
  }
  void string(const std::string& value) {
    separate();
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) {
        char escape[8];  // what a kernel prints need not be UTF-8: bytes are taken as Latin-1
        std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned char>(c));
        text_ += escape;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  void field(const char* key, uint64_t value) {
    name(key);
    number(value);
  }
  std::string text_;

 private:
  void separate() {
    if (!first_) text_ += ',';
    first_ = false;
  }
  bool first_ = true;
};

void write(Json& json, const char* name, const Dim3& dim) {
  json.name(name);
  json.begin('[');
  for (const uint32_t size : {dim.x, dim.y, dim.z}) json.number(size);
  json.end(']');
}

void write(Json& json, const AllocationTraffic& traffic) {
  json.begin('{');
  json.field("address", traffic.address);
  json.field("size_bytes", traffic.size_bytes);
  json.field("load_bytes", traffic.load_bytes);
  json.field("load_sectors", traffic.load_sectors);
  json.field("store_bytes", traffic.store_bytes);
  json.field("store_sectors", traffic.store_sectors);
  json.field("distinct_load_bytes", traffic.distinct_load_bytes);
  json.field("distinct_store_bytes", traffic.distinct_store_bytes);
  json.end('}');
}

void write(Json& json, const Counters& counters) {
  json.begin('{');
  json.field("thread_instructions", counters.thread_instructions);
  json.field("warp_instructions", counters.warp_instructions);
  json.field("mma", counters.mma);
  json.field("branches", counters.branches);
  json.field("divergent_branches", counters.divergent_branches);
  json.field("global_load_requests", counters.global_load_requests);
  json.field("global_load_bytes", counters.global_load_bytes);
  json.field("global_load_sectors", counters.global_load_sectors);
  json.field("global_store_requests", counters.global_store_requests);
  json.field("global_store_bytes", counters.global_store_bytes);
  json.field("global_store_sectors", counters.global_store_sectors);
  json.field("async_copy_bytes", counters.async_copy_bytes);
  json.field("shared_wavefronts", counters.shared_wavefronts);
  json.field("shared_ideal_wavefronts", counters.shared_ideal_wavefronts);
  json.field("atomics", counters.atomics);
  json.field("barriers", counters.barriers);
  json.name("allocations");
  json.begin('[');
  for (const AllocationTraffic& traffic : counters.allocations) write(json, traffic);
  json.end(']');
  json.end('}');
}

void write(Json& json, const LaunchReport& launch) {
  json.begin('{');
  json.name("kernel");
  json.string(launch.kernel);
  write(json, "grid", launch.grid);
  write(json, "block", launch.block);
  json.field("shared_bytes", launch.shared_bytes);
  json.field("error", static_cast<uint64_t>(launch.error));
  json.name("printed");
  json.string(launch.printed);
  json.name("counters");
  write(json, launch.counters);
  json.end('}');
}

}  // namespace

void ReportLog::found(const std::string& call, const std::string& message) {
  Finding finding;
  finding.kind = FindingKind::kHostMisuse;
  finding.kernel = call;
  finding.message = message;
  findings.push_back(std::move(finding));
}

std::string ReportLog::take_json() {
  Json json;
  json.begin('{');
  json.name("launches");
  json.begin('[');
  for (const LaunchReport& launch : launches) write(json, launch);
  json.end(']');
  json.name("findings");
  json.begin('[');
  for (const Finding& finding : findings) json.string(describe(finding));
  for (const LaunchReport& launch : launches) {
    for (const Finding& finding : launch.findings) json.string(describe(finding));
  }
  json.end(']');
  json.name("refused");
  json.begin('[');
  for (const RefusedCall& call : refused) {
    json.string(call.call + " = " + std::to_string(call.error) + ": " + call.message);
  }
  json.end(']');
  json.end('}');
  *this = {};
  return std::move(json.text_);
}

}  // namespace winnow::gpusim
