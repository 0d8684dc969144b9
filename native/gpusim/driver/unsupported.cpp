#include "driver/unsupported.h"

#include "driver/simulator.h"

namespace winnow::gpusim {

int unsupported(const char* call) {
  return driver_call(call, [](Simulator&) { fail(CUDA_ERROR_NOT_SUPPORTED, "the stand-in does not implement it"); });
}

}  // namespace winnow::gpusim
