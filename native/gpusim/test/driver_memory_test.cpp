// Device and pinned memory: limits, what copies read and when, and what must not be used any more.
#include "driver_fixture.h"

namespace winnow::gpusim {
namespace {

class DriverMemoryTest : public DriverTest {};

TEST_F(DriverMemoryTest, CopiesThereAndBack) {
  const CUdeviceptr x = device_ints({1, 2, 3, 4}), y = device_ints({0, 0, 0, 0});
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoD_v2(y, x + 4, 8));
  EXPECT_EQ((std::vector<int32_t>{2, 3, 0, 0}), read_ints(y, 4));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD16_v2(y, 0x0102, 2));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD8_v2(y + 4, 0xff, 4));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpy(y + 8, x, 8));
  EXPECT_EQ((std::vector<int32_t>{0x01020102, -1, 1, 2}), read_ints(y, 4));
  int32_t there = 77, back = 0;  // cuMemcpy tells host and device by the address
  const auto number = [](const int32_t* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); };
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpy(x, number(&there), 4));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyAsync(number(&back), x, 4, nullptr));
  EXPECT_EQ(77, back);
  EXPECT_TRUE(nothing_found(reports()));
}

TEST_F(DriverMemoryTest, CopiesOutsideAnAllocationAreRefusedAndReported) {
  const CUdeviceptr x = device_ints({1, 2});
  int32_t values[4] = {};
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH_v2(values, x, 12));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(x + 4, values, 8));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemsetD32_v2(x + 2, 0, 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(x, nullptr, 8));
  EXPECT_FALSE(nothing_found(reports()));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(x));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH_v2(values, x, 8));
  EXPECT_TRUE(mentions(reports(), "freed"));
}

TEST_F(DriverMemoryTest, MemoryEnds) {
  size_t free_bytes = 0, total_bytes = 0;
  CUdeviceptr large = 0, more = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&large, kDeviceBytes - 1000));
  EXPECT_EQ(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&more, 1001));
  EXPECT_EQ(CUDA_SUCCESS, cuMemGetInfo_v2(&free_bytes, &total_bytes));
  EXPECT_EQ(1000u, free_bytes);
  EXPECT_EQ(kDeviceBytes, total_bytes);
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(large));
  EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&more, kDeviceBytes));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(&more, 0));
  EXPECT_TRUE(nothing_found(reports()));  // the caller was told
}

TEST_F(DriverMemoryTest, FreeingTwiceIsReported) {
  const CUdeviceptr x = device_ints({1});
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(x));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(0));
  EXPECT_TRUE(nothing_found(reports()));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(x));
  EXPECT_TRUE(mentions(reports(), "freed twice"));
}

TEST_F(DriverMemoryTest, FreeingWhatQueuedWorkNamesIsReported) {
  const CUdeviceptr x = device_ints({1}), y = device_ints({1});
  const CUstream one = stream();
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 2, 1, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(y));
  EXPECT_TRUE(nothing_found(reports()));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 3, 1, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(x));
  EXPECT_TRUE(mentions(reports(), "still to be used by cuMemsetD32Async"));
}

TEST_F(DriverMemoryTest, AsynchronousCopiesReadPinnedMemoryLateAndPageableMemoryAtOnce) {
  const CUdeviceptr x = device_ints({0}), y = device_ints({0});
  const CUstream one = stream();
  int32_t* pinned = pinned_ints(1);
  int32_t pageable = 1;
  *pinned = 1;
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(x, &pageable, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(y, pinned, 4, one));
  *pinned = pageable = 2;
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ(1, read_ints(x, 1)[0]);
  EXPECT_EQ(2, read_ints(y, 1)[0]);
  EXPECT_TRUE(mentions(reports(), "the pinned source was written before the copy had read it"));
}

TEST_F(DriverMemoryTest, AStagingBufferReusedInStreamOrderIsFine) {
  const CUdeviceptr x = device_ints({7}), y = device_ints({0});
  const CUstream one = stream();
  int32_t* staging = pinned_ints(1);
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(staging, x, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(y, staging, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(staging, x, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ(7, read_ints(y, 1)[0]);
  EXPECT_TRUE(nothing_found(reports()));
}

TEST_F(DriverMemoryTest, ACopyToPinnedMemoryHoldsPoisonUntilItIsDone) {
  const CUdeviceptr x = device_ints({5});
  const CUstream one = stream();
  int32_t* pinned = pinned_ints(1);
  *pinned = 4;
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(pinned, x, 4, one));
  EXPECT_EQ(static_cast<int32_t>(0xA5A5A5A5), *pinned);
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ(5, *pinned);
  int32_t pageable = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(&pageable, x, 4, one));
  EXPECT_EQ(5, pageable);
}

TEST_F(DriverMemoryTest, FreedPinnedMemoryIsPoisonedAndWritesToItAreReported) {
  int32_t* pinned = pinned_ints(4);
  for (int i = 0; i < 4; ++i) pinned[i] = i;
  EXPECT_EQ(CUDA_SUCCESS, cuMemFreeHost(pinned));
  EXPECT_EQ(static_cast<int32_t>(0xA5A5A5A5), pinned[2]);
  EXPECT_TRUE(nothing_found(reports()));
  const CUdeviceptr x = device_ints({1, 1, 1, 1});
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync_v2(x, pinned, 16, nullptr));
  EXPECT_TRUE(mentions(reports(), "was freed by cuMemFreeHost"));
  pinned[2] = 1;
  EXPECT_TRUE(mentions(reports(), "byte 8 of a pinned buffer of 16 bytes was written after cuMemFreeHost"));
  std::memset(pinned, 0xA5, 16);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(pinned));
  EXPECT_TRUE(mentions(reports(), "freed twice"));
}

TEST_F(DriverMemoryTest, FreeingPinnedMemoryThatACopyStillReadsIsReported) {
  const CUdeviceptr x = device_ints({0});
  int32_t* pinned = pinned_ints(1);
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(x, pinned, 4, stream()));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFreeHost(pinned));
  EXPECT_TRUE(mentions(reports(), "the buffer of 4 bytes is still to be used by cuMemcpyHtoDAsync"));
}

TEST_F(DriverMemoryTest, RegisteredMemoryIsPinnedUntilItIsNot) {
  std::vector<int32_t> buffer(8, 3);
  const CUdeviceptr x = device_ints({0, 0});
  EXPECT_EQ(CUDA_SUCCESS, cuMemHostRegister_v2(buffer.data(), 16, 0));
  EXPECT_EQ(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister_v2(buffer.data() + 2, 16, 0));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync_v2(x, buffer.data() + 3, 8, nullptr));  // half of it is pinned
  unsigned type = 0;
  const auto address = reinterpret_cast<CUdeviceptr>(buffer.data());
  EXPECT_EQ(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  EXPECT_EQ(CU_MEMORYTYPE_HOST, type);
  EXPECT_EQ(CUDA_SUCCESS, cuMemHostUnregister(buffer.data()));
  EXPECT_EQ(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(buffer.data()));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
}

TEST_F(DriverMemoryTest, AnAddressTellsItsAllocation) {
  const CUdeviceptr x = device_ints({1, 2, 3});
  CUdeviceptr base = 0;
  size_t bytes = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuMemGetAddressRange_v2(&base, &bytes, x + 5));
  EXPECT_EQ(x, base);
  EXPECT_EQ(12u, bytes);
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange_v2(&base, &bytes, x + 12));
  int device = -1;
  EXPECT_EQ(CUDA_SUCCESS, cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, x + 11));
  EXPECT_EQ(0, device);
}

TEST_F(DriverMemoryTest, BytesCopiedToTheDeviceAreCounted) {
  const uint64_t before = winnow_gpusim_bytes_copied_to_device();
  const CUdeviceptr x = device_ints({1, 2, 3});
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD8_v2(x, 0, 12));
  read_ints(x, 3);
  EXPECT_EQ(before + 12, winnow_gpusim_bytes_copied_to_device());
}

}  // namespace
}  // namespace winnow::gpusim
