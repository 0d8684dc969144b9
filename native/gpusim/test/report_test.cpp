// The report's two forms, as their readers need them: JSON to the last character, text by what it must say.
#include "stat/report.h"

#include <gtest/gtest.h>

namespace winnow::gpusim {
namespace {

LaunchReport example() {
  LaunchReport report;
  report.kernel = "scale";
  report.grid = {3, 2, 1};
  report.block = {64, 1, 1};
  report.shared_bytes = 96;
  report.error = 700;
  Counters& c = report.counters;
  c.thread_instructions = 48;
  c.warp_instructions = 2;
  c.global_load_requests = 1;
  c.global_load_bytes = 64;
  c.global_load_sectors = 4;
  c.shared_wavefronts = 6;
  c.shared_ideal_wavefronts = 4;
  c.allocations.push_back({0x7000'0000'0000, 256, 64, 4, 32, 1, 60, 28});
  InstructionTraffic traffic;
  traffic.global_store_requests = 1;
  traffic.global_store_bytes = 32;
  traffic.global_store_sectors = 1;
  c.lines.push_back({"native/scale.cu", 7, traffic});
  Finding finding;
  finding.kind = FindingKind::kIllegalAddress;
  finding.kernel = "scale";
  finding.block = {2, 1, 0};
  finding.thread = {63, 0, 0};
  finding.ptx_line = 93;
  finding.source = "native/scale.cu";
  finding.source_line = 7;
  finding.message = "past the \"end\"\n";
  report.findings.push_back(finding);
  report.printed = "a\\b\t";
  return report;
}

TEST(Report, Json) {
  EXPECT_EQ(to_json(example()),
            R"({"kernel":"scale","grid":[3,2,1],"block":[64,1,1],"shared_bytes":96,"error":700,"counters":{)"
            R"("thread_instructions":48,"warp_instructions":2,"mma":0,"branches":0,"divergent_branches":0,)"
            R"("global_load_requests":1,"global_load_bytes":64,"global_load_sectors":4,)"
            R"("global_store_requests":0,"global_store_bytes":0,"global_store_sectors":0,"async_copy_bytes":0,)"
            R"("shared_wavefronts":6,"shared_ideal_wavefronts":4,"atomics":0,"barriers":0,)"
            R"("allocations":[{"address":123145302310912,"size_bytes":256,"load_bytes":64,"load_sectors":4,)"
            R"("store_bytes":32,"store_sectors":1,"distinct_load_bytes":60,"distinct_store_bytes":28}],)"
            R"("lines":[{"source":"native/scale.cu","line":7,)"
            R"("global_load_requests":0,"global_load_bytes":0,"global_load_sectors":0,)"
            R"("global_store_requests":1,"global_store_bytes":32,"global_store_sectors":1,"async_copy_bytes":0,)"
            R"("shared_wavefronts":0,"shared_ideal_wavefronts":0}]},)"
            R"("findings":[{"kind":"illegal address","kernel":"scale","block":[2,1,0],"thread":[63,0,0],)"
            R"("ptx_line":93,"source":"native/scale.cu","source_line":7,"message":"past the \"end\"\u000a"}],)"
            R"("printed":"a\\b\u0009"})");
  EXPECT_EQ(to_json(std::vector<LaunchReport>{}), "[]");
  EXPECT_EQ(to_json({example(), example()}), "[" + to_json(example()) + "," + to_json(example()) + "]");
}

TEST(Report, TextSaysWhatIsWrongFirst) {
  const std::string text = to_text(example());
  EXPECT_EQ(text.rfind("scale: grid (3,2,1), block (64,1,1), 96 bytes of shared memory, ERROR 700\n"
                       "1 findings\n"
                       "  illegal address: past the \"end\"\n; scale, block (2,1,0), thread (63,0,0), ptx line 93, "
                       "native/scale.cu:7\n"
                       "printed\na\\b\t",
                       0),
            0u)
      << text;
}

// Each row's label and last word.
TEST(Report, TextGivesTheRatiosThatKernelsAreJudgedBy) {
  const std::string text = to_text(example());
  const auto row = [&](const std::string& label) {
    const size_t begin = text.find("\n  " + label);
    const size_t end = text.find('\n', begin + 1);
    return begin == std::string::npos ? "no such row"
                                      : text.substr(text.rfind(' ', end) + 1, end - text.rfind(' ', end) - 1);
  };
  EXPECT_EQ(row("lanes active"), "75.0%");        // 48 of 2 x 32
  EXPECT_EQ(row("  bytes of sectors"), "50.0%");  // 64 of 4 x 32
  EXPECT_EQ(row("  excess"), "50.0%");            // 6 wavefronts, 4 without conflicts
  EXPECT_EQ(row("shared wavefronts"), "6");
  EXPECT_EQ(row("0x700000000000"), "28");  // the allocation's distinct bytes stored
  EXPECT_NE(text.find("\n  scale.cu:7 "), std::string::npos) << text;
}

TEST(Report, AKernelThatDidNothingHasNoNonsense) {
  LaunchReport report;
  report.kernel = "idle";
  const std::string text = to_text(report);
  EXPECT_NE(text.find("no findings"), std::string::npos);
  EXPECT_EQ(text.find("nan"), std::string::npos) << text;
  EXPECT_EQ(text.find("inf"), std::string::npos) << text;
}

TEST(Report, EveryKindOfFindingHasAName) {
  for (int kind = 0; kind <= static_cast<int>(FindingKind::kHostMisuse); ++kind) {
    EXPECT_STRNE(name(static_cast<FindingKind>(kind)), "unknown") << kind;
  }
}

}  // namespace
}  // namespace winnow::gpusim
