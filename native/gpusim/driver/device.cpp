// Initialisation and devices.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "driver/architecture.h"
#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

int attribute_value(CUdevice_attribute attribute, CUdevice device, int capability) {
  const Architecture limits = architecture(capability);
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
      return kMaxThreadsPerBlock;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
      return kMaxBlockZ;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
      return kMaxGridX;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
      return kMaxGridYz;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
      return kSharedPerBlock;
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY:
      return 65536;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
      return kWarpSize;
    case CU_DEVICE_ATTRIBUTE_MAX_PITCH:
      return 2147483647;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
      return kRegistersPerMultiprocessor;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
      return 1410000;  // kHz; as the other figures of a whole device, an A100's
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
      return 1215000;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
      return 5120;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
      return 40 << 20;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      return kNumMultiprocessors;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
      return 2;
    case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED:
      return 1;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      return device + 1;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
      return limits.max_threads_per_multiprocessor;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR:
      return limits.max_blocks_per_multiprocessor;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
      return limits.shared_per_multiprocessor;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
      return limits.shared_per_block_opt_in;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
      return kReservedSharedPerBlock;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      return capability / 10;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      return capability % 10;
  }
  return 0;  // the device has no such feature
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  Simulator& simulator = Simulator::instance();
  std::lock_guard<std::mutex> lock(simulator.mutex);
  if (simulator.configuration.num_devices == 0) return CUDA_ERROR_NO_DEVICE;
  simulator.initialised = true;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  *version = kDriverVersion;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  return driver_call("cuDeviceGetCount", [&](Simulator& simulator) {
    require_pointer(count, "count");
    *count = simulator.configuration.num_devices;
  });
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return driver_call("cuDeviceGet", [&](Simulator& simulator) {
    require_pointer(device, "device");
    simulator.require_device(ordinal);
    *device = ordinal;
  });
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return driver_call("cuDeviceGetName", [&](Simulator& simulator) {
    require_pointer(name, "name");
    simulator.require_device(device);
    if (length <= 0) fail(CUDA_ERROR_INVALID_VALUE, "length is " + std::to_string(length));
    std::snprintf(name, length, "gpusim sm_%d", simulator.configuration.compute_capability);
  });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return driver_call("cuDeviceGetUuid", [&](Simulator& simulator) {
    require_pointer(uuid, "uuid");
    simulator.require_device(device);
    std::memcpy(uuid->bytes, "winnow gpusim \0", 16);
    uuid->bytes[15] = static_cast<char>(device);
  });
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  return driver_call("cuDeviceTotalMem", [&](Simulator& simulator) {
    require_pointer(bytes, "bytes");
    simulator.require_device(device);
    *bytes = simulator.configuration.memory_bytes;
  });
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return driver_call("cuDeviceGetAttribute", [&](Simulator& simulator) {
    require_pointer(value, "value");
    simulator.require_device(device);
    *value = attribute_value(attribute, device, simulator.configuration.compute_capability);
  });
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  return driver_call("cuDeviceComputeCapability", [&](Simulator& simulator) {
    require_pointer(major, "major");
    require_pointer(minor, "minor");
    simulator.require_device(device);
    *major = simulator.configuration.compute_capability / 10;
    *minor = simulator.configuration.compute_capability % 10;
  });
}

CUresult cuDeviceGetPCIBusId(char* id, int length, CUdevice device) {
  return driver_call("cuDeviceGetPCIBusId", [&](Simulator& simulator) {
    require_pointer(id, "id");
    simulator.require_device(device);
    if (length < 13) fail(CUDA_ERROR_INVALID_VALUE, "length is " + std::to_string(length) + ", 13 are needed");
    std::snprintf(id, length, "0000:%02x:00.0", device + 1);
  });
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* id) {
  return driver_call("cuDeviceGetByPCIBusId", [&](Simulator& simulator) {
    require_pointer(device, "device");
    require_pointer(id, "id");
    unsigned domain = 0, bus = 0;
    if (std::sscanf(id, "%x:%x", &domain, &bus) != 2 || bus == 0) {
      fail(CUDA_ERROR_INVALID_DEVICE, std::string("no device at ") + id);
    }
    simulator.require_device(static_cast<int>(bus) - 1);
    *device = static_cast<int>(bus) - 1;
  });
}

CUresult cuDeviceCanAccessPeer(int* can_access, CUdevice device, CUdevice peer) {
  return driver_call("cuDeviceCanAccessPeer", [&](Simulator& simulator) {
    require_pointer(can_access, "can_access");
    simulator.require_device(device);
    simulator.require_device(peer);
    *can_access = 0;
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
