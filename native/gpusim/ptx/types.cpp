#include "ptx/types.h"

namespace winnow::gpusim {
namespace {

struct TypeName {
  std::string_view name;
  Type type;
  uint32_t size_bytes;
};

constexpr TypeName kTypes[] = {
    {".u8", Type::kU8, 1},         {".u16", Type::kU16, 2},   {".u32", Type::kU32, 4},     {".u64", Type::kU64, 8},
    {".s8", Type::kS8, 1},         {".s16", Type::kS16, 2},   {".s32", Type::kS32, 4},     {".s64", Type::kS64, 8},
    {".b8", Type::kB8, 1},         {".b16", Type::kB16, 2},   {".b32", Type::kB32, 4},     {".b64", Type::kB64, 8},
    {".b128", Type::kB128, 16},    {".f16", Type::kF16, 2},   {".f16x2", Type::kF16x2, 4}, {".bf16", Type::kBF16, 2},
    {".bf16x2", Type::kBF16x2, 4}, {".tf32", Type::kTF32, 4}, {".f32", Type::kF32, 4},     {".f64", Type::kF64, 8},
    {".pred", Type::kPred, 0},
};

}  // namespace

uint32_t size_bytes(Type type) { return kTypes[static_cast<int>(type)].size_bytes; }

std::optional<Type> parse_type(std::string_view dotted) {
  for (const TypeName& t : kTypes) {
    if (t.name == dotted) return t.type;
  }
  return std::nullopt;
}

}  // namespace winnow::gpusim
