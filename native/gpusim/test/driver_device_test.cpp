// Devices, contexts, statuses.
#include <thread>

#include "driver_fixture.h"

namespace winnow::gpusim {
namespace {

class DriverDeviceTest : public DriverTest {
 protected:
  static int attribute(CUdevice_attribute attribute, CUdevice device = 0) {
    int value = -1;
    EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetAttribute(&value, attribute, device));
    return value;
  }
};

TEST_F(DriverDeviceTest, DevicesAreAsConfigured) {
  open(0, 3, 90);
  int count = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetCount(&count));
  EXPECT_EQ(3, count);
  CUdevice device = -1;
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGet(&device, 2));
  EXPECT_EQ(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, 3));
  EXPECT_EQ(9, attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 2));
  EXPECT_EQ(0, attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 2));
  EXPECT_EQ(227 * 1024, attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  EXPECT_EQ(48 * 1024, attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK));
  EXPECT_EQ(32, attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE));
  char name[64], id[16];
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetName(name, sizeof(name), 0));
  EXPECT_STREQ("gpusim sm_90", name);
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetPCIBusId(id, sizeof(id), 1));
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetByPCIBusId(&device, id));
  EXPECT_EQ(1, device);
  CUuuid first, second;
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetUuid_v2(&first, 0));
  EXPECT_EQ(CUDA_SUCCESS, cuDeviceGetUuid_v2(&second, 1));
  EXPECT_NE(0, std::memcmp(&first, &second, sizeof(first)));
}

TEST_F(DriverDeviceTest, EachDeviceHasItsOwnMemory) {
  open(0, 2);
  CUcontext other = nullptr;
  CUdeviceptr all = 0, more = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&all, kDeviceBytes));
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&other, 1));
  EXPECT_EQ(CUDA_SUCCESS, cuCtxPushCurrent_v2(other));
  EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&more, kDeviceBytes));
  EXPECT_EQ(CUDA_SUCCESS, cuCtxPopCurrent_v2(&other));
  EXPECT_EQ(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&more, 1));
}

TEST_F(DriverDeviceTest, TheCurrentContextIsTheThreads) {
  CUresult without = CUDA_SUCCESS, with = CUDA_ERROR_UNKNOWN;
  std::thread([&] {
    without = cuCtxSynchronize();
    cuCtxSetCurrent(context);
    with = cuCtxSynchronize();
  }).join();
  EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, without);
  EXPECT_EQ(CUDA_SUCCESS, with);
  CUcontext current = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuCtxGetCurrent(&current));
  EXPECT_EQ(context, current);
}

TEST_F(DriverDeviceTest, ThePrimaryContextLivesWhileItIsRetained) {
  unsigned flags = 0;
  int active = 0;
  CUcontext again = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&again, 0));
  EXPECT_EQ(context, again);
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(1, active);
  const CUdeviceptr x = device_ints({1});
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(0, active);
  EXPECT_EQ(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemFree_v2(x));
  EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease_v2(0));
}

TEST_F(DriverDeviceTest, ThreadsMayCallAtOnce) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      cuCtxSetCurrent(context);
      const CUstream own = stream();
      for (int i = 0; i < 200; ++i) {
        const CUdeviceptr x = device_ints({0, 0});
        cuMemsetD32Async(x, 100 * t + i, 2, own);
        cuStreamSynchronize(own);
        wrong[t] += read_ints(x, 2)[1] != 100 * t + i;
        cuMemFree_v2(x);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ((std::vector<int>{0, 0, 0, 0}), wrong);
  EXPECT_TRUE(nothing_found(reports()));
}

TEST_F(DriverDeviceTest, EveryStatusHasItsNameAndText) {
  const char* text = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ("CUDA_ERROR_ILLEGAL_ADDRESS", text);
  EXPECT_EQ(CUDA_SUCCESS, cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ("an illegal memory access was encountered", text);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuGetErrorName(static_cast<CUresult>(12345), &text));
  EXPECT_EQ(nullptr, text);
}

}  // namespace
}  // namespace winnow::gpusim
