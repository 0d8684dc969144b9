// Loads and stores of every type, width and space, on 32 lanes with different values.
#include "body_runner.h"

namespace winnow::gpusim {
namespace {

uint64_t extended(uint64_t bits, int width, bool negative_extends) {
  if (width == 64) return bits;
  bits &= (uint64_t{1} << width) - 1;
  return negative_extends && (bits >> (width - 1)) != 0 ? bits | ~uint64_t{0} << width : bits;
}

TEST(Loads, EveryTypeVectorAndSpace) {
  const std::vector<uint64_t> input = pattern();
  const char* opcodes[] = {"ld.global",
                           "ld",
                           "ld.shared",
                           "ld.local",
                           "ld.volatile.global",
                           "ld.volatile.shared",
                           "ld.global.nc",
                           "ld.global.cg",
                           "ld.global.L1::no_allocate",
                           "ld.relaxed.gpu.global",
                           "ld.acquire.gpu.global",
                           "ld.relaxed.cta.shared",
                           "ldu.global"};
  for (const std::string opcode : opcodes) {
    const bool shared = opcode.find("shared") != std::string::npos, local = opcode.find("local") != std::string::npos;
    for (const std::string type :
         {"b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64", "f32", "f64"}) {
      for (const int count : {1, 2, 4}) {
        const int width = std::stoi(type.substr(1));
        if (width * count > 128) continue;
        // Into 64-bit registers, which integers extend to; floats need their own width.
        const std::string reg = type == "f32" ? "%f" : type == "f64" ? "%e" : "%w";
        std::string body, list;
        std::string address = "%x";
        if (shared || local) {
          body += "mov.u32 %r0, memory;\nmad.lo.s32 %r0, %t, " + std::string(shared ? "32" : "0") + ", %r0;\n";
          for (int i = 0; i < 4; ++i) {
            const std::string at = std::to_string(8 * i);
            body += "ld.global.b64 %w15, [%x+" + at + "];\nst." + (shared ? "shared" : "local") + ".b64 [%r0+" + at +
                    "], %w15;\n";
          }
          address = "%r0";
        }
        for (int i = 0; i < count; ++i) list += (i > 0 ? "," : "") + reg + std::to_string(i);
        body += opcode + (count > 1 ? ".v" + std::to_string(count) : "") + "." + type + " " +
                (count > 1 ? "{" + list + "}" : list) + ", [" + address + "];\n";
        for (int i = 0; i < count; ++i) {
          body += "st.global." +
                  (reg == "%f"   ? std::string("f32")
                   : reg == "%e" ? "f64"
                                 : "b64") +
                  " [%y+" + std::to_string(8 * i) + "], " + reg + std::to_string(i) + ";\n";
        }
        const Executed run = run_body(body, input,
                                      shared  ? ".shared .align 16 .b8 memory[1024];\n"
                                      : local ? ".local .align 16 .b8 memory[32];\n"
                                              : "");
        for (int lane = 0; lane < 32; ++lane) {
          for (int i = 0; i < count; ++i) {
            uint64_t bits = 0;
            std::memcpy(&bits, reinterpret_cast<const uint8_t*>(&input[static_cast<size_t>(4 * lane)]) + i * width / 8,
                        static_cast<size_t>(width / 8));
            ASSERT_EQ(run.at(lane, i), extended(bits, width, type[0] == 's'))
                << opcode << " " << type << " x" << count << " lane " << lane;
          }
        }
      }
    }
  }
}

TEST(Stores, EveryTypeVectorAndSpace) {
  const std::vector<uint64_t> input = pattern();
  for (const std::string space : {".global", "", ".shared", ".local", ".volatile.global", ".volatile.shared",
                                  ".global.wt", ".release.gpu.global", ".relaxed.cta.shared"}) {
    const bool shared = space.find("shared") != std::string::npos, local = space.find("local") != std::string::npos;
    for (const std::string type :
         {"b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64", "f32", "f64"}) {
      for (const int count : {1, 2, 4}) {
        const int width = std::stoi(type.substr(1)), bytes = width * count / 8;
        if (bytes > 16) continue;
        const std::string reg = type == "f32" ? "%f" : type == "f64" ? "%e" : "%w";
        std::string body, list, address = "%y";
        for (int i = 0; i < count; ++i) {
          body += "ld.global." + (reg == "%w" ? std::string("b64") : type) + " " + reg + std::to_string(i) + ", [%x+" +
                  std::to_string(8 * i) + "];\n";
          list += (i > 0 ? "," : "") + reg + std::to_string(i);
        }
        if (shared || local) {
          body += "mov.u32 %r0, memory;\nmad.lo.s32 %r0, %t, " + std::string(shared ? "32" : "0") + ", %r0;\n";
          address = "%r0";
        }
        body += "st" + space + (count > 1 ? ".v" + std::to_string(count) : "") + "." + type + " [" + address + "], " +
                (count > 1 ? "{" + list + "}" : list) + ";\n";
        if (shared || local) {
          for (int i = 0; i < bytes; ++i) {
            const std::string at = std::to_string(i);
            body += std::string("ld.") + (shared ? "shared" : "local") + ".u8 %r1, [%r0+" + at +
                    "];\nst.global.u8 [%y+" + at + "], %r1;\n";
          }
        }
        const Executed run = run_body(body, input,
                                      shared  ? ".shared .align 16 .b8 memory[1024];\n"
                                      : local ? ".local .align 16 .b8 memory[32];\n"
                                              : "");
        for (int lane = 0; lane < 32; ++lane) {
          uint8_t expected[32] = {};
          for (int i = 0; i < count; ++i)
            std::memcpy(expected + i * width / 8, &input[static_cast<size_t>(4 * lane + i)],
                        static_cast<size_t>(width / 8));
          ASSERT_EQ(std::memcmp(&run.output[static_cast<size_t>(32 * lane)], expected, 32), 0)
              << "st" << space << " " << type << " x" << count << " lane " << lane;
        }
      }
    }
  }
}

}  // namespace
}  // namespace winnow::gpusim
