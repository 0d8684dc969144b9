#include "driver/work.h"

#include <cstring>

#include "driver/simulator.h"

namespace winnow::gpusim {

Range host_source(const Work& work) {
  const auto* copy = std::get_if<CopyWork>(&work);
  if (!copy || copy->kind != CopyKind::kHostToDevice || copy->staged) return {};
  return {copy->from, copy->num_bytes};
}

Range host_target(const Work& work) {
  const auto* copy = std::get_if<CopyWork>(&work);
  if (!copy || copy->kind != CopyKind::kDeviceToHost) return {};
  return {copy->to, copy->num_bytes};
}

bool names_device_memory(const Work& work, const Range& range) {
  if (const auto* copy = std::get_if<CopyWork>(&work)) {
    return (copy->kind != CopyKind::kDeviceToHost && range.overlaps({copy->to, copy->num_bytes})) ||
           (copy->kind != CopyKind::kHostToDevice && range.overlaps({copy->from, copy->num_bytes}));
  }
  if (const auto* fill = std::get_if<FillWork>(&work)) {
    return range.overlaps({fill->to, fill->count * fill->element_bytes});
  }
  if (const auto* kernel = std::get_if<KernelWork>(&work)) {
    for (const Parameter& parameter : kernel->function->kernel->parameters) {
      if (parameter.size_bytes != sizeof(uint64_t)) continue;
      uint64_t value;
      std::memcpy(&value, kernel->arguments.data() + parameter.offset, sizeof(value));
      if (range.overlaps({value, 1})) return true;
    }
  }
  return false;
}

std::string describe(const Work& work) {
  if (const auto* copy = std::get_if<CopyWork>(&work)) {
    const char* direction = copy->kind == CopyKind::kHostToDevice   ? " to the device"
                            : copy->kind == CopyKind::kDeviceToHost ? " to the host"
                                                                    : " within the device";
    return "copy of " + std::to_string(copy->num_bytes) + " bytes" + direction;
  }
  if (const auto* fill = std::get_if<FillWork>(&work)) {
    return "fill of " + std::to_string(fill->count * fill->element_bytes) + " bytes";
  }
  if (const auto* kernel = std::get_if<KernelWork>(&work)) return "kernel " + kernel->function->kernel->name;
  return std::holds_alternative<HostWork>(work) ? "host function" : "empty node";
}

}  // namespace winnow::gpusim
