// Copies and fills. They synchronise with the host as the manual says under "API synchronization behavior". A copy from
// pageable memory reads the bytes at the call and reaches the device later, in stream order. A copy to pageable memory
// is complete when the call returns. A copy from or to pinned memory touches the host bytes when it executes.
#include <algorithm>
#include <cstring>

#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

using ContextPtr = std::shared_ptr<Context>;

// Copies from pageable memory up to here wait in their stream with a copy of the source; larger ones execute at once.
constexpr size_t kStagedBytes = size_t{16} << 20;
// gpusim::Memory allocates from the first address up; the host's own mappings lie above the second.
constexpr uint64_t kDeviceBegin = 0x7000'0000'0000, kDeviceEnd = 0x7800'0000'0000;

struct Call {
  const char* name;
  bool asynchronous;
};

HostMemory::State host_state(Simulator& simulator, const char* call, const Range& range) {
  if (!range.address) fail(CUDA_ERROR_INVALID_VALUE, "the host pointer is null");
  const auto state = simulator.host.state(range);
  if (state == HostMemory::State::kFreed) {
    simulator.log.found(call,
                        "the host range of " + std::to_string(range.num_bytes) + " bytes was freed by cuMemFreeHost");
    fail(CUDA_ERROR_INVALID_VALUE, "the host range was freed");
  }
  if (state == HostMemory::State::kPartlyPinned) fail(CUDA_ERROR_INVALID_VALUE, "the host range is pinned in part");
  return state;
}

void copy(Simulator& simulator, const Call& call, const StreamPtr& stream, CopyWork work) {
  if (work.num_bytes == 0) return;
  if (!call.asynchronous) simulator.forbid_during_capture(call.name);
  bool pinned = false;
  if (work.kind != CopyKind::kHostToDevice) {
    simulator.require_device_range(call.name, {work.from, work.num_bytes}, "source of a copy");
  } else {
    pinned = host_state(simulator, call.name, {work.from, work.num_bytes}) == HostMemory::State::kPinned;
  }
  if (work.kind != CopyKind::kDeviceToHost) {
    simulator.require_device_range(call.name, {work.to, work.num_bytes}, "target of a copy");
  } else {
    pinned = host_state(simulator, call.name, {work.to, work.num_bytes}) == HostMemory::State::kPinned;
  }
  const bool host_side = work.kind != CopyKind::kDeviceToDevice;
  if (host_side && !pinned && stream->capture) {
    simulator.invalidate(*stream->capture, std::string(call.name) + " with pageable memory");
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "a copy with pageable memory cannot be captured");
  }
  const bool from_pageable = work.kind == CopyKind::kHostToDevice && !pinned;
  const bool large = work.num_bytes > kStagedBytes;
  if (from_pageable) {
    if (!call.asynchronous) simulator.synchronise(*stream);
    if (!large) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(work.from);
      work.staged = std::make_shared<const std::vector<uint8_t>>(bytes, bytes + work.num_bytes);
    }
  }
  simulator.submit(call.name, stream, std::move(work));
  if (stream->capture) return;
  const bool complete_at_return = from_pageable ? large : host_side && (!pinned || !call.asynchronous);
  if (complete_at_return) simulator.synchronise(*stream);
  require_healthy(*stream->context);
}

CUresult copy_call(const Call& call, CopyKind kind, uint64_t to, uint64_t from, size_t bytes, CUstream stream) {
  return context_call(call.name, [&](Simulator& simulator, const ContextPtr& context) {
    copy(simulator, call, simulator.stream(stream, context), {kind, to, from, bytes, nullptr});
  });
}

CUresult unified_copy(const Call& call, uint64_t to, uint64_t from, size_t bytes, CUstream stream) {
  const auto on_device = [](uint64_t address) { return address >= kDeviceBegin && address < kDeviceEnd; };
  if (!on_device(to) && !on_device(from)) {
    return driver_call(call.name,
                       [](Simulator&) { fail(CUDA_ERROR_NOT_SUPPORTED, "a copy from host memory to host memory"); });
  }
  const CopyKind kind = !on_device(to)    ? CopyKind::kDeviceToHost
                        : on_device(from) ? CopyKind::kDeviceToDevice
                                          : CopyKind::kHostToDevice;
  return copy_call(call, kind, to, from, bytes, stream);
}

CUresult fill_call(const char* call, uint64_t to, uint32_t value, uint32_t element_bytes, size_t count, CUstream stream,
                   bool asynchronous) {
  return context_call(call, [&](Simulator& simulator, const ContextPtr& context) {
    if (count == 0) return;
    if (!asynchronous) simulator.forbid_during_capture(call);
    if (to % element_bytes) fail(CUDA_ERROR_INVALID_VALUE, "the address is not a multiple of the element's size");
    if (count > UINT64_MAX / element_bytes) fail(CUDA_ERROR_INVALID_VALUE, "too many elements");
    simulator.require_device_range(call, {to, count * element_bytes}, "target of a fill");
    simulator.submit(call, simulator.stream(stream, context), FillWork{to, count, value, element_bytes});
  });
}

uint64_t number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

extern "C" {

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return unified_copy({"cuMemcpy", false}, to, from, bytes, nullptr);
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return unified_copy({"cuMemcpyAsync", true}, to, from, bytes, stream);
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return copy_call({"cuMemcpyHtoD", false}, CopyKind::kHostToDevice, to, number(from), bytes, nullptr);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return copy_call({"cuMemcpyHtoDAsync", true}, CopyKind::kHostToDevice, to, number(from), bytes, stream);
}
CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return copy_call({"cuMemcpyDtoH", false}, CopyKind::kDeviceToHost, number(to), from, bytes, nullptr);
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy_call({"cuMemcpyDtoHAsync", true}, CopyKind::kDeviceToHost, number(to), from, bytes, stream);
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copy_call({"cuMemcpyDtoD", false}, CopyKind::kDeviceToDevice, to, from, bytes, nullptr);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy_call({"cuMemcpyDtoDAsync", true}, CopyKind::kDeviceToDevice, to, from, bytes, stream);
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return fill_call("cuMemsetD8", to, value, 1, count, nullptr, false);
}
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return fill_call("cuMemsetD16", to, value, 2, count, nullptr, false);
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return fill_call("cuMemsetD32", to, value, 4, count, nullptr, false);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return fill_call("cuMemsetD8Async", to, value, 1, count, stream, true);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  return fill_call("cuMemsetD16Async", to, value, 2, count, stream, true);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return fill_call("cuMemsetD32Async", to, value, 4, count, stream, true);
}

}  // extern "C"
}  // namespace winnow::gpusim
