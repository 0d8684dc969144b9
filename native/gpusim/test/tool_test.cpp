// The command line of gpusim: what its words mean, what it refuses, and the program itself.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "tool/command_line.h"

namespace winnow::gpusim {
namespace {

std::vector<std::string> words(std::vector<std::string> more) {
  std::vector<std::string> all{"k.ptx", "kernel", "--grid", "2,3", "--block", "64"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

template <typename T>
T value_of(const std::vector<uint8_t>& bytes) {
  T value{};
  EXPECT_EQ(bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

std::string refusal(const std::vector<std::string>& all) {
  try {
    parse_run(all);
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(CommandLine, Options) {
  const RunCommand c = parse_run(
      words({"--shared",         "0x100",         "--seed",  "7",        "--threads", "2", "--eager", "--no-races",
             "--no-initialised", "--no-counters", "--lines", "--json",   "--time",    "3", "--dump",  "y",
             "--dump",           "x:4",           "--save",  "y=out.bin"}));
  EXPECT_EQ(c.ptx_file, "k.ptx");
  EXPECT_EQ(c.kernel, "kernel");
  EXPECT_EQ(c.grid.x, 2u);
  EXPECT_EQ(c.grid.y, 3u);
  EXPECT_EQ(c.grid.z, 1u);
  EXPECT_EQ(c.block.x, 64u);
  EXPECT_EQ(c.dynamic_shared_bytes, 256u);
  EXPECT_EQ(c.options.seed, 7u);
  EXPECT_EQ(c.options.num_threads, 2);
  EXPECT_FALSE(c.options.lazy_async_copies);
  EXPECT_FALSE(c.options.check_races);
  EXPECT_FALSE(c.options.check_initialised);
  EXPECT_FALSE(c.options.count);
  EXPECT_TRUE(c.options.count_lines);
  EXPECT_TRUE(c.json);
  EXPECT_EQ(c.num_timed_runs, 3);
  ASSERT_EQ(c.dumps.size(), 2u);
  EXPECT_EQ(c.dumps[0].count, ~uint64_t{0});
  EXPECT_EQ(c.dumps[1].count, 4u);
  ASSERT_EQ(c.saves.size(), 1u);
  EXPECT_EQ(c.saves[0].file, "out.bin");
  const Options defaults = parse_run(words({})).options;
  EXPECT_TRUE(defaults.lazy_async_copies && defaults.check_races && defaults.check_initialised && defaults.count);
}

TEST(CommandLine, Scalars) {
  const RunCommand c =
      parse_run(words({"i32:-7", "u64:0xFFFFFFFFFFFFFFFF", "f32:-0.5", "bf16:1", "f16:1", "i8:-1", "f64:1e-3"}));
  ASSERT_EQ(c.arguments.size(), 7u);
  EXPECT_EQ(value_of<int32_t>(c.arguments[0].scalar), -7);
  EXPECT_EQ(value_of<uint64_t>(c.arguments[1].scalar), ~uint64_t{0});
  EXPECT_EQ(value_of<float>(c.arguments[2].scalar), -0.5f);
  EXPECT_EQ(value_of<uint16_t>(c.arguments[3].scalar), 0x3F80);
  EXPECT_EQ(value_of<uint16_t>(c.arguments[4].scalar), 0x3C00);
  EXPECT_EQ(value_of<int8_t>(c.arguments[5].scalar), -1);
  EXPECT_EQ(value_of<double>(c.arguments[6].scalar), 1e-3);
}

TEST(CommandLine, AddressesTablesAndStructs) {
  const RunCommand c =
      parse_run(words({"x=i32[3]:iota", "@x+8", "@0", "@[x,x+4,0]", "{@x,i32:5,@[x,0],{u8:1,u16:2}}"}));
  ASSERT_EQ(c.buffers.size(), 1u);
  ASSERT_EQ(c.arguments.size(), 5u);
  EXPECT_EQ(c.arguments[0].places, std::vector<std::string>{"x"});
  EXPECT_EQ(c.arguments[1].places, std::vector<std::string>{"x+8"});
  EXPECT_EQ(c.arguments[2].places, std::vector<std::string>{"0"});
  EXPECT_TRUE(c.arguments[3].table);
  EXPECT_EQ(c.arguments[3].places, (std::vector<std::string>{"x", "x+4", "0"}));
  const std::vector<Argument>& fields = c.arguments[4].fields;
  ASSERT_EQ(fields.size(), 4u);
  EXPECT_EQ(value_of<int32_t>(fields[1].scalar), 5);
  EXPECT_EQ(fields[2].places, (std::vector<std::string>{"x", "0"}));
  EXPECT_EQ(fields[3].fields.size(), 2u);
}

TEST(CommandLine, Refusals) {
  EXPECT_EQ(refusal({"k.ptx"}), "expected FILE.ptx and KERNEL; see gpusim --help");
  EXPECT_EQ(refusal({"k.ptx", "kernel", "--grid", "1"}), "--grid and --block are needed");
  EXPECT_EQ(refusal(words({"--seed"})), "--seed needs a value");
  EXPECT_EQ(refusal(words({"--seed", "x"})), "expected a number that is not negative, found 'x'");
  EXPECT_EQ(refusal(words({"--grid", "1,2,3,4"})), "one to three sizes X,Y,Z, found 1,2,3,4");
  EXPECT_EQ(refusal(words({"--grid", "4294967296"})), "expected a number that is not negative, found '4294967296'");
  EXPECT_EQ(refusal(words({"--grid", "-1"})), "expected a number that is not negative, found '-1'");
  EXPECT_EQ(refusal(words({"--fast"})), "unknown option --fast; see gpusim --help");
  EXPECT_EQ(refusal(words({"--save", "y"})), "--save NAME=FILE, found y");
  EXPECT_EQ(refusal(words({"--time", "0"})), "--time needs one run or more");
  EXPECT_EQ(refusal(words({"7"})), "an argument is TYPE:VALUE, NAME=TYPE[COUNT]:CONTENT, @NAME or {...}, found 7");
  EXPECT_EQ(refusal(words({"i32:7x"})), "expected an integer, found '7x'");
  EXPECT_EQ(refusal(words({"f32:one"})), "expected a number, found 'one'");
  EXPECT_EQ(refusal(words({"i33:7"})).rfind("type i33 is none of f32, f64", 0), 0u);
  EXPECT_EQ(refusal(words({"x=f32[2]"})), "a buffer is NAME=TYPE[COUNT]:CONTENT, found x=f32[2]");
  EXPECT_EQ(refusal(words({"x=f32[2]:ones"})).rfind("content is random", 0), 0u);
  EXPECT_EQ(refusal(words({"x=f32[2]:file=/nowhere"})), "cannot read /nowhere");
}

TEST(Buffers, Contents) {
  const Buffer iota = parse_buffer("a=i16[3]:iota");
  EXPECT_EQ(iota.bytes, (std::vector<uint8_t>{0, 0, 1, 0, 2, 0}));
  EXPECT_EQ(parse_buffer("a=bf16[1]:constant=1.00390625").bytes, (std::vector<uint8_t>{0x80, 0x3F}));  // a tie, to even
  EXPECT_EQ(parse_buffer("a=u8[2]:zeros").bytes, (std::vector<uint8_t>{0, 0}));
  const Buffer unwritten = parse_buffer("a=f64[5]:unwritten");
  EXPECT_TRUE(unwritten.bytes.empty());
  EXPECT_EQ(unwritten.total_bytes(), 40u);
  const Buffer random = parse_buffer("a=f32[1000]:random=2..3,9");
  double sum = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const double value = get(ElementType::kF32, &random.bytes[4 * i]);
    EXPECT_TRUE(value >= 2 && value <= 3) << value;
    sum += value;
  }
  EXPECT_NEAR(sum / 1000, 2.5, 0.05);
  EXPECT_EQ(parse_buffer("a=f32[1000]:random=2..3,9").bytes, random.bytes);
  EXPECT_NE(parse_buffer("a=f32[1000]:random=2..3,8").bytes, random.bytes);
}

// The program: y[i] = a * x[i] + s.b for the struct s = {pad, b}.
constexpr const char* kProgram = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 x, .param .u64 y, .param .f32 a, .param .align 8 .b8 s[16])
{
.reg .b64 %d<8>; .reg .b32 %r<4>; .reg .f32 %f<8>;
ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.f32 %f1, [a]; ld.param.f32 %f2, [s+8];
mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d1, %d3; add.s64 %d5, %d2, %d3;
ld.global.f32 %f3, [%d4]; fma.rn.f32 %f4, %f1, %f3, %f2; st.global.f32 [%d5], %f4; ret;
}
)";

struct Ended {
  int code;
  std::string out;
};

class Program : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "gpusim_tool_" + name;
    std::ofstream(path) << text;
    return path;
  }
  Ended start(const std::string& arguments) {
    FILE* pipe = popen((std::string(WINNOW_GPUSIM_TOOL) + " " + arguments + " 2>&1").c_str(), "r");
    Ended ended{-1, ""};
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) ended.out.append(part, n);
    const int status = pclose(pipe);
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    return ended;
  }
  std::string program = file("scale.ptx", kProgram);
};

TEST_F(Program, RunsDumpsAndTakesTheTime) {
  const Ended ended =
      start("run " + program + " scale --grid 1 --block 32 'x=f32[32]:iota' 'y=f32[32]:unwritten' f32:2 " +
            "'{u64:0,f32:0.5}' --dump y:4 --time 2");
  EXPECT_EQ(ended.code, 0) << ended.out;
  EXPECT_NE(ended.out.find("y = 0.5 2.5 4.5 6.5\n"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("no findings"), std::string::npos);
  EXPECT_NE(ended.out.find("best of 2"), std::string::npos);
}

TEST_F(Program, ExitCodesTellFindingsFromMisuse) {
  const std::string run = "run " + program + " scale --grid 1 --block 32 ";
  const Ended past_the_end = start(run + "'x=f32[31]:iota' 'y=f32[32]:unwritten' f32:2 '{u64:0,f32:0}' --json");
  EXPECT_EQ(past_the_end.code, 1);
  EXPECT_NE(past_the_end.out.find("\"error\":700"), std::string::npos) << past_the_end.out;
  const Ended unwritten = start(run + "'x=f32[32]:unwritten' 'y=f32[32]:unwritten' f32:2 '{u64:0,f32:0}'");
  EXPECT_EQ(unwritten.code, 1);
  EXPECT_NE(unwritten.out.find("uninitialised read"), std::string::npos);
  const Ended too_few = start(run + "f32:1");
  EXPECT_EQ(too_few.code, 2);
  EXPECT_EQ(too_few.out, "gpusim: scale takes 4 arguments, found 1\n");
  EXPECT_EQ(start("walk").code, 2);
  EXPECT_EQ(start("--help").code, 0);
}

TEST_F(Program, LintListsEverythingThatIsNotSupported) {
  EXPECT_EQ(start("lint " + program).out, program + ": 1 kernels, all supported\n");
  std::string text = kProgram;
  text.replace(text.find("fma.rn.f32"), 10, "fma.f32");
  text.replace(text.find("mov.u32"), 7, "frob.u32");
  const std::string broken = file("broken.ptx", text);
  const Ended ended = start("lint " + broken + " " + program);
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.out, broken + ": PTX line 8: unsupported instruction frob.u32\n" + broken +
                           ": PTX line 9: unsupported instruction fma.f32\n" + program +
                           ": 1 kernels, all supported\n");
}

}  // namespace
}  // namespace winnow::gpusim
