// Which thread of a warp holds which element: ldmatrix and mma against the tables of the PTX manual, written down here
// once more ("Matrix Fragments for mma.m16n8k16 / m16n8k8 with floating point type", "Warp-level matrix load
// instruction: ldmatrix").
#include <random>

#include "kernel_runner.h"
#include "soft_float.h"

namespace winnow::gpusim {
namespace {

struct Place {
  int row, column;
};

// Element i of thread `lane` of a 16 x k A matrix, k = 8 or 16, two elements per register. Rows of the table: i.
Place a_place(int lane, int i) {
  static const int kRowOffset[8] = {0, 0, 8, 8, 0, 0, 8, 8}, kColumnOffset[8] = {0, 1, 0, 1, 8, 9, 8, 9};
  return {lane / 4 + kRowOffset[i], lane % 4 * 2 + kColumnOffset[i]};
}
Place b_place(int lane, int i) {  // k x 8
  static const int kRowOffset[4] = {0, 1, 8, 9};
  return {lane % 4 * 2 + kRowOffset[i], lane / 4};
}
Place c_place(int lane, int i) {  // 16 x 8, f32
  static const int kRowOffset[4] = {0, 0, 8, 8}, kColumnOffset[4] = {0, 1, 0, 1};
  return {lane / 4 + kRowOffset[i], lane % 4 * 2 + kColumnOffset[i]};
}

std::string registers(const char* prefix, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += (i > 0 ? "," : "") + std::string(prefix) + std::to_string(i);
  return text + "}";
}

// A thread's registers lie one after the other: a, b (32 bits each), c; d is written to the second buffer.
std::string multiply_kernel(const std::string& type, int k) {
  const int num_a = k / 4, num_b = k / 8;
  const std::string stride = std::to_string(4 * (num_a + num_b + 4));
  std::string text =
      ".version 8.6\n.target sm_80\n.address_size 64\n.visible .entry multiply(.param .u64 p0, .param .u64 p1)\n{\n"
      ".reg .b32 %a<4>, %b<2>, %t;\n.reg .f32 %c<4>, %d<4>;\n.reg .b64 %x, %y, %o;\n"
      "ld.param.u64 %x, [p0];\nld.param.u64 %y, [p1];\nmov.u32 %t, %tid.x;\n"
      "mul.wide.u32 %o, %t, " +
      stride + ";\nadd.s64 %x, %x, %o;\nmul.wide.u32 %o, %t, 16;\nadd.s64 %y, %y, %o;\n";
  int at = 0;
  const auto load = [&](const std::string& to, const char* bits) {
    text += std::string("ld.global.") + bits + " " + to + ", [%x+" + std::to_string(at) + "];\n";
    at += 4;
  };
  for (int i = 0; i < num_a; ++i) load("%a" + std::to_string(i), "b32");
  for (int i = 0; i < num_b; ++i) load("%b" + std::to_string(i), "b32");
  for (int i = 0; i < 4; ++i) load("%c" + std::to_string(i), "f32");
  const std::string b = registers("%b", num_b);
  text += "mma.sync.aligned.m16n8k" + std::to_string(k) + ".row.col.f32." + type + "." + type + ".f32 " +
          registers("%d", 4) + ", " + registers("%a", num_a) + ", " + b + ", " + registers("%c", 4) + ";\n";
  text += "st.global.v4.f32 [%y], " + registers("%d", 4) + ";\nret;\n}\n";
  return text;
}

uint16_t small_integer(const soft::Format& format, int value) {
  return static_cast<uint16_t>(
      soft::encode(format, soft::from_integer(value < 0, static_cast<uint64_t>(std::abs(value)))));
}

void expect_product(const std::string& type, int k) {
  const soft::Format& format = type == "f16" ? soft::kF16 : soft::kBf16;
  std::mt19937 random(3);
  const auto any = [&] { return static_cast<int>(random() % 9) - 4; };
  int a[16][16], b[16][8], c[16][8];
  for (auto& row : a)
    for (int& v : row) v = any();
  for (auto& row : b)
    for (int& v : row) v = any();
  for (auto& row : c)
    for (int& v : row) v = any();
  std::vector<uint32_t> words;
  for (int lane = 0; lane < 32; ++lane) {
    for (int r = 0; r < k / 4; ++r) {
      const Place low = a_place(lane, 2 * r), high = a_place(lane, 2 * r + 1);
      words.push_back(small_integer(format, a[low.row][low.column]) |
                      uint32_t{small_integer(format, a[high.row][high.column])} << 16);
    }
    for (int r = 0; r < k / 8; ++r) {
      const Place low = b_place(lane, 2 * r), high = b_place(lane, 2 * r + 1);
      words.push_back(small_integer(format, b[low.row][low.column]) |
                      uint32_t{small_integer(format, b[high.row][high.column])} << 16);
    }
    for (int i = 0; i < 4; ++i) {
      const Place p = c_place(lane, i);
      const float value = static_cast<float>(c[p.row][p.column]);
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      words.push_back(bits);
    }
  }
  KernelRunner runner(multiply_kernel(type, k));
  const uint64_t x = runner.buffer(words), y = runner.unwritten<float>(128);
  const LaunchReport report = runner.run("multiply", {1}, {32}, Arguments().add(x).add(y));
  EXPECT_EQ(findings_of(report), "");
  EXPECT_EQ(report.counters.mma, 1u);
  const std::vector<float> d = runner.read<float>(y, 128);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const Place p = c_place(lane, i);
      int expected = c[p.row][p.column];
      for (int j = 0; j < k; ++j) expected += a[p.row][j] * b[j][p.column];
      EXPECT_EQ(d[static_cast<size_t>(4 * lane + i)], static_cast<float>(expected))
          << type << " k " << k << " lane " << lane << " element " << i;
    }
  }
}

TEST(Fragments, MmaBf16) {
  expect_product("bf16", 16);
  expect_product("bf16", 8);
}
TEST(Fragments, MmaF16) {
  expect_product("f16", 16);
  expect_product("f16", 8);
}

// Shared memory holds 4 matrices of 8 rows of 8 elements, element = 64 * matrix + 8 * row + column; lane l names row l
// % 8 of matrix l / 8. Every thread then writes its registers.
std::string load_kernel(int count, bool transposed) {
  const std::string n = std::to_string(count);
  return ".version 8.6\n.target sm_80\n.address_size 64\n.visible .entry load(.param .u64 p0)\n{\n"
         ".shared .align 16 .b8 tile[512];\n.reg .b32 %t<6>, %r<4>;\n.reg .b16 %h;\n.reg .b64 %y, %o;\n.reg .pred %q;\n"
         "ld.param.u64 %y, [p0];\nmov.u32 %t0, %tid.x;\nmov.u32 %t1, tile;\nmov.u32 %t2, 0;\n"
         // lane l fills elements l, l + 32, ...
         "fill:\nmad.lo.s32 %t3, %t2, 32, %t0;\ncvt.u16.u32 %h, %t3;\nmad.lo.s32 %t4, %t3, 2, %t1;\nst.shared.b16 "
         "[%t4], %h;\n"
         "add.s32 %t2, %t2, 1;\nsetp.lt.s32 %q, %t2, 8;\n@%q bra fill;\nbar.warp.sync 0xffffffff;\n"
         "mad.lo.s32 %t4, %t0, 16, %t1;\n"
         "ldmatrix.sync.aligned.m8n8.x" +
         n + (transposed ? ".trans" : "") + ".shared.b16 " + registers("%r", count) + ", [%t4];\n" +
         "mul.wide.u32 %o, %t0, 16;\nadd.s64 %y, %y, %o;\n" +
         [&] {
           std::string stores;
           for (int i = 0; i < count; ++i)
             stores += "st.global.b32 [%y+" + std::to_string(4 * i) + "], %r" + std::to_string(i) + ";\n";
           return stores;
         }() +
         "ret;\n}\n";
}

TEST(Fragments, LoadMatrix) {
  for (const int count : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      KernelRunner runner(load_kernel(count, transposed));
      const uint64_t y = runner.buffer(std::vector<uint32_t>(128));
      const LaunchReport report = runner.run("load", {1}, {32}, Arguments().add(y));
      EXPECT_EQ(findings_of(report), "");
      const std::vector<uint16_t> found = runner.read<uint16_t>(y, 256);
      for (int lane = 0; lane < 32; ++lane) {
        for (int matrix = 0; matrix < count; ++matrix) {
          for (int half = 0; half < 2; ++half) {
            const int group = lane / 4, pair = 2 * (lane % 4) + half;
            const int expected = 64 * matrix + (transposed ? 8 * pair + group : 8 * group + pair);
            EXPECT_EQ(found[static_cast<size_t>(8 * lane + 2 * matrix + half)], expected)
                << "x" << count << (transposed ? " transposed" : "") << " lane " << lane << " matrix " << matrix;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace winnow::gpusim
