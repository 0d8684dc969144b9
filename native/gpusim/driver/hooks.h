// What tests ask of the stand-in beside the driver API; exported by libcuda.so.1 under names that no driver has.
#pragma once

#include <cstdint>

namespace winnow::gpusim {

extern "C" {
// How work is ordered and kernels are executed from now on; see Options and Configuration.
void winnow_gpusim_configure(uint64_t seed, bool lazy_async_copies, bool checks);
// What the devices are: contexts are lost, as in a new process. compute_capability: 80, 90, ...
void winnow_gpusim_configure_devices(int num_devices, int compute_capability, uint64_t memory_bytes);
// JSON of what happened since the last call: {"launches": [...], "findings": [...], "refused": [...]}. Executes
// nothing. Valid until this thread asks again.
const char* winnow_gpusim_take_reports();
void winnow_gpusim_reset_touched();
uint64_t winnow_gpusim_distinct_bytes_read(uint64_t address, uint64_t size_bytes);
uint64_t winnow_gpusim_bytes_copied_to_device();
}

}  // namespace winnow::gpusim
