// Device and pinned memory: allocation, release, what an address is.
#include <cstring>

#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

using ContextPtr = std::shared_ptr<Context>;

// The operations that are queued and satisfy the condition.
template <typename Condition>
std::vector<OperationPtr> pending_if(const Simulator& simulator, Condition condition) {
  std::vector<OperationPtr> found;
  for (const auto& [number, operation] : simulator.queue.pending()) {
    if (condition(*operation->work)) found.push_back(operation);
  }
  return found;
}

// Work that still uses pinned memory which the program takes away: a finding, then executed while the bytes are there.
void finish_users(Simulator& simulator, const char* call, const Range& range) {
  const auto users = pending_if(simulator, [&](const Work& work) {
    return range.overlaps(host_source(work)) || range.overlaps(host_target(work));
  });
  for (const OperationPtr& user : users) {
    simulator.log.found(
        call, "the buffer of " + std::to_string(range.num_bytes) + " bytes is still to be used by " + describe(*user));
  }
  simulator.queue.run(users);
}

void allocate_pinned(Simulator& simulator, const char* call, void** pointer, size_t bytes, unsigned flags) {
  simulator.forbid_during_capture(call);
  require_pointer(pointer, "pointer");
  if (bytes == 0) fail(CUDA_ERROR_INVALID_VALUE, "0 bytes");
  void* allocated = simulator.host.allocate(bytes, flags);
  if (!allocated) fail(CUDA_ERROR_OUT_OF_MEMORY, "the host has no " + std::to_string(bytes) + " bytes");
  *pointer = allocated;
}

// The live allocation that holds the address, or end().
std::map<uint64_t, DeviceAllocation>::const_iterator find_allocation(const Simulator& simulator, uint64_t address) {
  auto next = simulator.allocations.upper_bound(address);
  if (next == simulator.allocations.begin()) return simulator.allocations.end();
  --next;
  return address - next->first < next->second.num_bytes ? next : simulator.allocations.end();
}

}  // namespace

extern "C" {

CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  return context_call("cuMemGetInfo", [&](Simulator& simulator, const ContextPtr& context) {
    const uint64_t total = simulator.configuration.memory_bytes, used = simulator.used_bytes[context->device];
    if (free_bytes) *free_bytes = total > used ? total - used : 0;
    if (total_bytes) *total_bytes = total;
  });
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  return context_call("cuMemAlloc", [&](Simulator& simulator, const ContextPtr& context) {
    simulator.forbid_during_capture("cuMemAlloc");
    require_pointer(address, "address");
    if (bytes == 0) fail(CUDA_ERROR_INVALID_VALUE, "0 bytes");
    uint64_t& used = simulator.used_bytes[context->device];
    if (used > simulator.configuration.memory_bytes || bytes > simulator.configuration.memory_bytes - used) {
      fail(CUDA_ERROR_OUT_OF_MEMORY, std::to_string(bytes) + " bytes asked for, " + std::to_string(used) + " of " +
                                         std::to_string(simulator.configuration.memory_bytes) + " in use");
    }
    *address = simulator.memory.allocate(bytes);
    simulator.allocations[*address] = {context, bytes};
    used += bytes;
  });
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  return context_call("cuMemFree", [&](Simulator& simulator, const ContextPtr& context) {
    simulator.forbid_during_capture("cuMemFree");
    if (address == 0) return;
    const auto allocation = simulator.allocations.find(address);
    if (allocation == simulator.allocations.end()) {
      simulator.log.found("cuMemFree",
                          "the address is not the start of a live allocation: freed twice, or never allocated");
      fail(CUDA_ERROR_INVALID_VALUE, "not the start of a live allocation");
    }
    const Range range{address, allocation->second.num_bytes};
    for (const OperationPtr& user :
         pending_if(simulator, [&](const Work& work) { return names_device_memory(work, range); })) {
      simulator.log.found("cuMemFree", "the allocation of " + std::to_string(range.num_bytes) +
                                           " bytes is still to be used by " + describe(*user));
    }
    simulator.queue.run_all(*context);  // as drivers do, though the manual does not promise it
    simulator.memory.free(address);
    simulator.used_bytes[allocation->second.context->device] -= range.num_bytes;
    simulator.allocations.erase(allocation);
    require_healthy(*context);
  });
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  return context_call("cuMemGetAddressRange", [&](Simulator& simulator, const ContextPtr&) {
    const auto found = find_allocation(simulator, address);
    if (found == simulator.allocations.end()) fail(CUDA_ERROR_NOT_FOUND, "the address lies in no live allocation");
    if (base) *base = found->first;
    if (bytes) *bytes = found->second.num_bytes;
  });
}

CUresult cuMemAllocHost_v2(void** pointer, size_t bytes) {
  return context_call("cuMemAllocHost", [&](Simulator& simulator, const ContextPtr&) {
    allocate_pinned(simulator, "cuMemAllocHost", pointer, bytes, 0);
  });
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  return context_call("cuMemHostAlloc", [&](Simulator& simulator, const ContextPtr&) {
    allocate_pinned(simulator, "cuMemHostAlloc", pointer, bytes, flags);
  });
}

CUresult cuMemFreeHost(void* pointer) {
  return context_call("cuMemFreeHost", [&](Simulator& simulator, const ContextPtr&) {
    simulator.forbid_during_capture("cuMemFreeHost");
    uint64_t start = 0;
    const auto* block = simulator.host.find(reinterpret_cast<uint64_t>(pointer), &start);
    if (block) finish_users(simulator, "cuMemFreeHost", {start, block->num_bytes});
    const auto found = [&](const std::string& message) { simulator.log.found("cuMemFreeHost", message); };
    if (!simulator.host.free(pointer, found)) {
      found("the pointer is no live pinned allocation: freed twice, or never allocated");
      fail(CUDA_ERROR_INVALID_VALUE, "not the start of a pinned allocation");
    }
  });
}

CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned flags) {
  return context_call("cuMemHostRegister", [&](Simulator& simulator, const ContextPtr&) {
    simulator.forbid_during_capture("cuMemHostRegister");
    require_pointer(pointer, "pointer");
    if (bytes == 0) fail(CUDA_ERROR_INVALID_VALUE, "0 bytes");
    if (!simulator.host.add_registered(pointer, bytes, flags)) {
      fail(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "a part of the range is pinned already");
    }
  });
}

CUresult cuMemHostUnregister(void* pointer) {
  return context_call("cuMemHostUnregister", [&](Simulator& simulator, const ContextPtr&) {
    simulator.forbid_during_capture("cuMemHostUnregister");
    uint64_t start = 0;
    const auto* block = simulator.host.find(reinterpret_cast<uint64_t>(pointer), &start);
    if (block) finish_users(simulator, "cuMemHostUnregister", {start, block->num_bytes});
    if (!simulator.host.remove_registered(pointer)) {
      fail(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "no registered range starts there");
    }
  });
}

CUresult cuMemHostGetFlags(unsigned* flags, void* pointer) {
  return context_call("cuMemHostGetFlags", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(flags, "flags");
    uint64_t start = 0;
    const auto* block = simulator.host.find(reinterpret_cast<uint64_t>(pointer), &start);
    if (!block) fail(CUDA_ERROR_INVALID_VALUE, "the pointer is not pinned memory");
    *flags = block->flags;
  });
}

CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr pointer) {
  return context_call("cuPointerGetAttribute", [&](Simulator& simulator, const ContextPtr& current) {
    require_pointer(data, "data");
    const auto device = find_allocation(simulator, pointer);
    const bool on_device = device != simulator.allocations.end();
    uint64_t start = 0;
    const auto* block = on_device ? nullptr : simulator.host.find(pointer, &start);
    if (!on_device && !block) fail(CUDA_ERROR_INVALID_VALUE, "neither device memory nor pinned memory");
    const auto& context = on_device ? device->second.context : current;
    const auto answer = [&](auto value) { std::memcpy(data, &value, sizeof(value)); };
    switch (attribute) {
      case CU_POINTER_ATTRIBUTE_CONTEXT:
        return answer(context->handle);
      case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        return answer(on_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
      case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        if (!on_device) break;  // kernels of the stand-in cannot reach host memory
        return answer(pointer);
      case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (on_device) break;
        return answer(pointer);
      case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        return answer(false);
      case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        return answer(context->device);
      case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        return answer(on_device ? device->first : start);
      case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        return answer(on_device ? size_t{device->second.num_bytes} : block->num_bytes);
    }
    fail(CUDA_ERROR_INVALID_VALUE, "attribute " + std::to_string(attribute) + " is not known of this pointer");
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
