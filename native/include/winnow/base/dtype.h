// Element types of tensors; the numbers are part of the binary interface. java: org.winnow.DType.
#pragma once

#include <cstdint>

namespace winnow {

enum class DType : int32_t { f32 = 0, bf16 = 1, f16 = 2, i8 = 3, i32 = 4, i64 = 5, u64 = 6 };

}  // namespace winnow
