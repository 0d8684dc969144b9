// Device buffers that the command line describes: NAME=TYPE[COUNT]:CONTENT.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace winnow::gpusim {

enum class ElementType { kF32, kF64, kF16, kBf16, kI8, kU8, kI16, kU16, kI32, kU32, kI64, kU64 };

ElementType parse_type(const std::string& name);  // std::invalid_argument naming the types there are
uint64_t size_bytes(ElementType type);
void put(ElementType type, double value, uint8_t* to);  // rounded to nearest even; integers truncated
double get(ElementType type, const uint8_t* from);

// x=f32[1024]:random  x=bf16[64]:random=-4..4,7  x=i32[9]:iota  x=u8[64]:zeros  x=f32[8]:constant=2.5
// x=f16[64]:file=x.bin x=f32[8]:unwritten
struct Buffer {
  std::string name;
  ElementType type;
  uint64_t count;
  std::vector<uint8_t> bytes;  // empty when unwritten
  uint64_t address = 0;
  uint64_t total_bytes() const { return count * size_bytes(type); }
};
Buffer parse_buffer(const std::string& text);  // std::invalid_argument with what is wrong

}  // namespace winnow::gpusim
