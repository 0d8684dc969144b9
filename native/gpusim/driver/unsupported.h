// Answers calls of functions that the stand-in does not implement.
#pragma once

namespace winnow::gpusim {

int unsupported(const char* call);  // CUDA_ERROR_NOT_SUPPORTED, with an entry in the log

}  // namespace winnow::gpusim
