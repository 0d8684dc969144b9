// Element types of tensors. The numbers are part of the binary interface. java: org.winnow.DType.
#pragma once

#include <stdint.h>

typedef int32_t winnow_dtype;
enum {
  WINNOW_DTYPE_F32 = 0,
  WINNOW_DTYPE_BF16 = 1,
  WINNOW_DTYPE_F16 = 2,
  WINNOW_DTYPE_I8 = 3,
  WINNOW_DTYPE_I32 = 4,
  WINNOW_DTYPE_I64 = 5,
  WINNOW_DTYPE_U64 = 6,
};

#ifdef __cplusplus
namespace winnow {

enum class DType : winnow_dtype {
  f32 = WINNOW_DTYPE_F32,
  bf16 = WINNOW_DTYPE_BF16,
  f16 = WINNOW_DTYPE_F16,
  i8 = WINNOW_DTYPE_I8,
  i32 = WINNOW_DTYPE_I32,
  i64 = WINNOW_DTYPE_I64,
  u64 = WINNOW_DTYPE_U64,
};

}  // namespace winnow
#endif
