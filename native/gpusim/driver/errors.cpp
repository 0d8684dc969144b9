// Names and texts of statuses. These two calls work before cuInit.
#include "driver/cuda_api.h"

namespace winnow::gpusim {
namespace {

struct Code {
  CUresult value;
  const char* name;
  const char* text;
};

const Code* find(CUresult value) {
  static const Code codes[] = {
#define CODE(name, value, text) {name, #name, text},
#include "driver/error_codes.inc"
#undef CODE
  };
  for (const Code& code : codes) {
    if (code.value == value) return &code;
  }
  return nullptr;
}

}  // namespace

extern "C" {

CUresult cuGetErrorName(CUresult error, const char** name) {
  const Code* code = find(error);
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  *name = code ? code->name : nullptr;
  return code ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  const Code* code = find(error);
  if (!text) return CUDA_ERROR_INVALID_VALUE;
  *text = code ? code->text : nullptr;
  return code ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // extern "C"
}  // namespace winnow::gpusim
