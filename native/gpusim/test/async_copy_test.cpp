// cp.async: sizes, source sizes, hints and waits, with bytes that arrive at the wait and at once.
#include "body_runner.h"
#include "spelling.h"

namespace winnow::gpusim {
namespace {

constexpr const char* kTile = ".shared .align 16 .b8 tile[512];\n";
const std::string kWaits[] = {"cp.async.commit_group;\ncp.async.wait_group 0;\n", "cp.async.wait_all;\n"};

// Each thread copies to 16 bytes of shared memory that hold 0xFF, waits and reads them. `size` is what follows the
// source.
std::string copy_body(const std::string& opcode, const std::string& size, const std::string& wait) {
  return "mov.u32 %r0, tile;\nmad.lo.u32 %r0, %t, 16, %r0;\nmov.b64 %w9, -1;\nst.shared.v2.b64 [%r0], {%w9,%w9};\n" +
         opcode + " [%r0], [%x], " + size + ";\n" + wait +
         "ld.shared.v2.b64 {%w0,%w1}, [%r0];\nst.global.v2.b64 [%y], {%w0,%w1};\n";
}

// `from_memory` bytes of the lane's input, zeros up to `bytes`, then what was there.
void expect_bytes(const Executed& run, int lane, int bytes, int from_memory) {
  const std::vector<uint64_t> input = pattern();
  const auto* source = reinterpret_cast<const uint8_t*>(&input[static_cast<size_t>(4 * lane)]);
  for (int i = 0; i < 16; ++i) {
    const uint8_t expected = i < from_memory ? source[i] : i < bytes ? 0 : 0xFF;
    ASSERT_EQ(run.output[static_cast<size_t>(32 * lane + i)], expected)
        << "byte " << i << " of lane " << lane << ", " << bytes << " bytes, " << from_memory << " from memory";
  }
}

TEST(AsyncCopies, EverySpellingSizeAndWait) {
  int num_copies = 0;
  for (const std::string& opcode : spellings(async_copy_forms())) {
    if (opcode.find(".shared") == std::string::npos) continue;
    ++num_copies;
    for (const int bytes : {4, 8, 16}) {
      if (bytes != 16 && opcode.find(".cg") != std::string::npos) continue;
      for (const std::string& wait : kWaits) {
        for (const bool lazy : {true, false}) {
          Options options;
          options.lazy_async_copies = lazy;
          // All of the source; then a lane's number of bytes, none to all.
          Executed run = run_body(copy_body(opcode, std::to_string(bytes), wait), pattern(), kTile, options);
          for (int lane = 0; lane < 32; ++lane) expect_bytes(run, lane, bytes, bytes);
          const std::string given = std::to_string(bytes + 1);
          run = run_body("rem.u32 %r1, %t, " + given + ";\n" + copy_body(opcode, std::to_string(bytes) + ", %r1", wait),
                         pattern(), kTile, options);
          for (int lane = 0; lane < 32; ++lane) expect_bytes(run, lane, bytes, lane % (bytes + 1));
        }
      }
    }
  }
  EXPECT_EQ(num_copies, 2 * 2 * 4);  // .ca and .cg, two names of shared memory, hints
}

// Only the bytes of the source that are asked for must be there: kernels name an address past the end, and no bytes.
TEST(AsyncCopies, BytesThatAreNotAskedForNeedNotExist) {
  const std::string past_the_end = "setp.eq.u32 %p0, %t, 31;\n@%p0 add.s64 %x, %x, ";
  const auto run = [&](int offset, int source_bytes) {
    return execute_body(past_the_end + std::to_string(offset) + ";\n" +
                            copy_body("cp.async.ca.shared.global", "8, " + std::to_string(source_bytes), kWaits[0]),
                        pattern(), kTile);
  };
  EXPECT_EQ(run(24, 8).report.error, 0);
  EXPECT_EQ(run(32, 0).report.error, 0);
  EXPECT_EQ(run(32, 1).report.error, 700);
  EXPECT_EQ(run(32, 8).report.error, 700);
  EXPECT_EQ(run(28, 4).report.error, 716);
  EXPECT_EQ(run(28, 8).report.error, 716);
}

// Both kinds of lanes lock the page that they read while it is checked.
TEST(AsyncCopies, WholeAndPartialSourcesInOnePageOnTwoHostThreads) {
  Options options;
  options.num_threads = 2;
  const Executed run = run_body(
      "and.b32 %r1, %t, 15;\nadd.u32 %r1, %r1, 1;\n" + copy_body("cp.async.ca.shared.global", "16, %r1", kWaits[0]),
      pattern(), kTile, options, 2);
  for (int lane = 0; lane < 32; ++lane) expect_bytes(run, lane, 16, lane % 16 + 1);
}

TEST(AsyncCopies, SizesThatArePermitted) {
  const Executed run = execute_body(copy_body("cp.async.ca.shared.global", "8, 9", kWaits[0]), pattern(), kTile);
  EXPECT_EQ(run.report.error, 719);
  for (const char* wrong :
       {"cp.async.cg.shared.global [%r0], [%x], 8;\n", "cp.async.ca.shared.global [%r0], [%x], 2;\n",
        "cp.async.ca.shared.global [%r0], [%x];\n"}) {
    EXPECT_THROW(execute_body(wrong, {}), PtxError) << wrong;
  }
}

}  // namespace
}  // namespace winnow::gpusim
