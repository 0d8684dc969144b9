// From the arguments of a launch call or a graph node to work.
#pragma once

#include "driver/simulator.h"

namespace winnow::gpusim {

// Checks what a device checks at the call: dimensions, threads, shared memory, arguments. Fails with the API's error.
KernelWork kernel_work(Simulator& simulator, CUfunction function, Dim3 grid, Dim3 block, unsigned dynamic_shared_bytes,
                       void** parameters, void** extra);

}  // namespace winnow::gpusim
