#include <cstdio>

#include "stat/report.h"

namespace winnow::gpusim {
namespace {

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      json += escape;
    } else {
      json += c;
    }
  }
  return json + '"';
}

class Object {
 public:
  Object& add(const char* key, const std::string& value) { return raw(key, quoted(value)); }
  Object& add(const char* key, uint64_t value) { return raw(key, std::to_string(value)); }
  Object& add(const char* key, const Dim3& d) {
    return raw(key, "[" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + "]");
  }
  Object& raw(const char* key, const std::string& json) {
    json_ += (json_.empty() ? "{" : ",") + quoted(key) + ":" + json;
    return *this;
  }
  std::string text() const { return json_ + "}"; }

 private:
  std::string json_;
};

template <typename Element, typename ToJson>
std::string array(const std::vector<Element>& elements, ToJson&& json_of) {
  std::string json = "[";
  for (const Element& element : elements) json += (json.size() > 1 ? "," : "") + json_of(element);
  return json + "]";
}

void add_traffic(Object& object, const InstructionTraffic& t) {
  object.add("global_load_requests", t.global_load_requests)
      .add("global_load_bytes", t.global_load_bytes)
      .add("global_load_sectors", t.global_load_sectors)
      .add("global_store_requests", t.global_store_requests)
      .add("global_store_bytes", t.global_store_bytes)
      .add("global_store_sectors", t.global_store_sectors)
      .add("async_copy_bytes", t.async_copy_bytes)
      .add("shared_wavefronts", t.shared_wavefronts)
      .add("shared_ideal_wavefronts", t.shared_ideal_wavefronts);
}

std::string to_json(const AllocationTraffic& t) {
  return Object()
      .add("address", t.address)
      .add("size_bytes", t.size_bytes)
      .add("load_bytes", t.load_bytes)
      .add("load_sectors", t.load_sectors)
      .add("store_bytes", t.store_bytes)
      .add("store_sectors", t.store_sectors)
      .add("distinct_load_bytes", t.distinct_load_bytes)
      .add("distinct_store_bytes", t.distinct_store_bytes)
      .text();
}

std::string to_json(const LineTraffic& line) {
  Object object;
  object.add("source", line.source).add("line", static_cast<uint64_t>(line.line));
  add_traffic(object, line.traffic);
  return object.text();
}

std::string to_json(const Counters& c) {
  Object object;
  object.add("thread_instructions", c.thread_instructions)
      .add("warp_instructions", c.warp_instructions)
      .add("mma", c.mma)
      .add("branches", c.branches)
      .add("divergent_branches", c.divergent_branches);
  add_traffic(object, {c.global_load_requests, c.global_load_bytes, c.global_load_sectors, c.global_store_requests,
                       c.global_store_bytes, c.global_store_sectors, c.async_copy_bytes, c.shared_wavefronts,
                       c.shared_ideal_wavefronts});
  object.add("atomics", c.atomics).add("barriers", c.barriers);
  object.raw("allocations", array(c.allocations, [](const AllocationTraffic& t) { return to_json(t); }));
  object.raw("lines", array(c.lines, [](const LineTraffic& l) { return to_json(l); }));
  return object.text();
}

}  // namespace

std::string to_json(const Finding& finding) {
  return Object()
      .add("kind", std::string(name(finding.kind)))
      .add("kernel", finding.kernel)
      .add("block", finding.block)
      .add("thread", finding.thread)
      .add("ptx_line", static_cast<uint64_t>(finding.ptx_line))
      .add("source", finding.source)
      .add("source_line", static_cast<uint64_t>(finding.source_line))
      .add("message", finding.message)
      .text();
}

std::string to_json(const LaunchReport& report) {
  return Object()
      .add("kernel", report.kernel)
      .add("grid", report.grid)
      .add("block", report.block)
      .add("shared_bytes", report.shared_bytes)
      .add("error", static_cast<uint64_t>(report.error))
      .raw("counters", to_json(report.counters))
      .raw("findings", array(report.findings, [](const Finding& f) { return to_json(f); }))
      .add("printed", report.printed)
      .text();
}

std::string to_json(const std::vector<LaunchReport>& reports) {
  return array(reports, [](const LaunchReport& r) { return to_json(r); });
}

}  // namespace winnow::gpusim
