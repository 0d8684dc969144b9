// A device with its primary context, new for every test, and short ways to say what the tests do often.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "driver/cuda_api.h"
#include "driver/hooks.h"

namespace winnow::gpusim {

constexpr uint64_t kDeviceBytes = uint64_t{64} << 20;
constexpr int kNumSeeds = 40;

class DriverTest : public testing::Test {
 protected:
  void SetUp() override { open(0); }

  // As in a new process.
  void open(uint64_t seed, int num_devices = 1, int compute_capability = 80) {
    winnow_gpusim_configure_devices(num_devices, compute_capability, kDeviceBytes);
    winnow_gpusim_configure(seed, true, true);
    ASSERT_EQ(CUDA_SUCCESS, cuInit(0));
    ASSERT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&context, 0));
    ASSERT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(context));
    reports();
  }

  static std::string reports() { return winnow_gpusim_take_reports(); }
  static bool mentions(const std::string& json, const std::string& text) {
    return json.find(text) != std::string::npos;
  }
  static bool nothing_found(const std::string& json) { return mentions(json, "\"findings\":[],\"refused\""); }

  static CUdeviceptr device_ints(const std::vector<int32_t>& values) {
    CUdeviceptr address = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&address, 4 * values.size()));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoD_v2(address, values.data(), 4 * values.size()));
    EXPECT_EQ(CUDA_SUCCESS, cuCtxSynchronize());
    return address;
  }

  static std::vector<int32_t> read_ints(CUdeviceptr address, size_t count) {
    std::vector<int32_t> values(count);
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoH_v2(values.data(), address, 4 * count));
    return values;
  }

  static int32_t* pinned_ints(size_t count) {
    void* pointer = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuMemHostAlloc(&pointer, 4 * count, 0));
    return static_cast<int32_t*>(pointer);
  }

  static CUstream stream(unsigned flags = CU_STREAM_NON_BLOCKING) {
    CUstream created = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuStreamCreate(&created, flags));
    return created;
  }

  static CUevent event(unsigned flags = 0) {
    CUevent created = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuEventCreate(&created, flags));
    return created;
  }

  CUcontext context = nullptr;
};

}  // namespace winnow::gpusim
