#include "driver/hooks.h"

#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

template <typename Action>
auto locked(Action action) {
  Simulator& simulator = Simulator::instance();
  std::lock_guard<std::mutex> lock(simulator.mutex);
  return action(simulator);
}

}  // namespace

extern "C" {

void winnow_gpusim_configure(uint64_t seed, bool lazy_async_copies, bool checks) {
  locked([&](Simulator& simulator) {
    Configuration next = simulator.configuration;
    next.seed = seed;
    next.lazy_async_copies = lazy_async_copies;
    next.checks = checks;
    simulator.configure(next);
  });
}

void winnow_gpusim_configure_devices(int num_devices, int compute_capability, uint64_t memory_bytes) {
  locked([&](Simulator& simulator) {
    simulator.reset_devices();
    Configuration next = simulator.configuration;
    next.num_devices = num_devices;
    next.compute_capability = compute_capability;
    next.memory_bytes = memory_bytes;
    simulator.configure(next);
  });
}

const char* winnow_gpusim_take_reports() {
  static thread_local std::string json;
  json = locked([](Simulator& simulator) {
    simulator.host.check_freed([&](const std::string& message) { simulator.log.found("host memory", message); });
    return simulator.log.take_json();
  });
  return json.c_str();
}

void winnow_gpusim_reset_touched() {
  locked([](Simulator& simulator) { simulator.memory.reset_touched(); });
}

uint64_t winnow_gpusim_distinct_bytes_read(uint64_t address, uint64_t size_bytes) {
  return locked([&](Simulator& simulator) { return simulator.memory.distinct_bytes_read(address, size_bytes); });
}

uint64_t winnow_gpusim_bytes_copied_to_device() {
  return locked([](Simulator& simulator) { return simulator.copied_to_device_bytes; });
}

}  // extern "C"
}  // namespace winnow::gpusim
