// Modules and launches: what is refused at the call, what comes later and stays.
#include "driver_kernels.h"

namespace winnow::gpusim {
namespace {

class DriverKernelTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    load();
  }
};

TEST_F(DriverKernelTest, LaunchesWithPointersAndWithABuffer) {
  CUdeviceptr x = device_ints({1, 2, 3});
  EXPECT_EQ(CUDA_SUCCESS, launch_add(x, 10, 3, nullptr));
  struct {
    CUdeviceptr x;
    int32_t value, n;
  } packed{x, 100, 2};
  size_t size = sizeof(packed);
  void* extra[] = {reinterpret_cast<void*>(CU_LAUNCH_PARAM_BUFFER_POINTER), &packed,
                   reinterpret_cast<void*>(CU_LAUNCH_PARAM_BUFFER_SIZE), &size,
                   reinterpret_cast<void*>(CU_LAUNCH_PARAM_END)};
  EXPECT_EQ(CUDA_SUCCESS, cuLaunchKernel(add_to, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  packed.value = 5;  // the launch has its copy
  EXPECT_EQ((std::vector<int32_t>{111, 112, 13}), read_ints(x, 3));
  size = 12;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_to, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  size = 24;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_to, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  const std::string json = reports();
  EXPECT_TRUE(mentions(json, "add_to: a buffer of 24 bytes, its parameters take 16"));
  EXPECT_TRUE(mentions(json, "\"kernel\":\"add_to\""));
  EXPECT_TRUE(nothing_found(json));
}

TEST_F(DriverKernelTest, ModulesOfOneTextAreModulesOfTheirOwn) {
  CUdeviceptr x = device_ints({1});
  const CUmodule first = module;
  const CUfunction of_first = add_to;
  load();
  EXPECT_NE(first, module);
  EXPECT_NE(of_first, add_to);
  EXPECT_EQ(CUDA_SUCCESS, cuModuleUnload(first));
  EXPECT_EQ(CUDA_SUCCESS, launch_add(x, 10, 1, nullptr));
  EXPECT_EQ((std::vector<int32_t>{11}), read_ints(x, 1));
  add_to = of_first;
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, launch_add(x, 10, 1, nullptr));
}

TEST_F(DriverKernelTest, LaunchesWithAConfiguration) {
  CUdeviceptr x = device_ints({1, 1});
  int value = 1, n = 2;
  void* arguments[] = {&x, &value, &n};
  CUlaunchConfig config{1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, 0};
  EXPECT_EQ(CUDA_SUCCESS, cuLaunchKernelEx(&config, add_to, arguments, nullptr));
  CUlaunchAttribute cooperative{2, {}, {}};
  config.attrs = &cooperative;
  config.numAttrs = 1;
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, cuLaunchKernelEx(&config, add_to, arguments, nullptr));
  EXPECT_EQ((std::vector<int32_t>{2, 2}), read_ints(x, 2));
}

TEST_F(DriverKernelTest, ShapesThatADeviceRefuses) {
  CUdeviceptr x = device_ints({1});
  int value = 1, n = 1;
  void* arguments[] = {&x, &value, &n};
  const auto launch = [&](unsigned grid_x, unsigned grid_y, unsigned block_x, unsigned block_z) {
    return cuLaunchKernel(add_to, grid_x, grid_y, 1, block_x, 1, block_z, 0, nullptr, arguments, nullptr);
  };
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch(0, 1, 1, 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch(1, 65536, 1, 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch(1, 1, 1025, 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch(1, 1, 1, 65));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_to, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  EXPECT_EQ(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, launch_shared(x, 16, 65));  // its .maxntid is 64
  EXPECT_EQ(CUDA_SUCCESS, launch(1, 1, 1024, 1));
  EXPECT_EQ(2, read_ints(x, 1)[0]);
}

TEST_F(DriverKernelTest, ABlockOtherThanTheKernelStates) {
  CUfunction function = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuModuleLoadData(&module,
                                           ".version 9.0\n.target sm_80\n.address_size 64\n"
                                           ".visible .entry f() .reqntid 8, 4, 1 { ret; }\n"));
  EXPECT_EQ(CUDA_SUCCESS, cuModuleGetFunction(&function, module, "f"));
  const auto launch = [&](unsigned x, unsigned y) {
    return cuLaunchKernel(function, 1, 1, 1, x, y, 1, 0, nullptr, nullptr, nullptr);
  };
  EXPECT_EQ(CUDA_SUCCESS, launch(8, 4));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch(32, 1));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch(8, 2));
  EXPECT_EQ(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, launch(8, 8));
  EXPECT_TRUE(mentions(reports(), "f: block (32, 1, 1), it states (8, 4, 1)"));
}

TEST_F(DriverKernelTest, MoreThan48KilobytesOfSharedMemoryNeedTheOptIn) {
  CUdeviceptr x = device_ints({0});
  constexpr int kMore = 48 * 1024 + 4, kDevice = 163 * 1024;
  const auto allow = [&](int bytes) {
    return cuFuncSetAttribute(use_shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
  };
  EXPECT_EQ(CUDA_SUCCESS, launch_shared(x, 48 * 1024));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch_shared(x, kMore));
  EXPECT_EQ(CUDA_SUCCESS, allow(kMore));
  EXPECT_EQ(CUDA_SUCCESS, launch_shared(x, kMore));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, launch_shared(x, kMore + 4));
  EXPECT_EQ(CUDA_SUCCESS, allow(kDevice));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, allow(kDevice + 1));
  EXPECT_EQ(42, read_ints(x, 1)[0]);
  int value = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, use_shared));
  EXPECT_EQ(kDevice, value);
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, use_shared));
  EXPECT_EQ(64, value);
}

TEST_F(DriverKernelTest, AnIllegalAddressComesLateAndStays) {
  const CUdeviceptr x = device_ints({1, 2});
  CUdeviceptr y = 0;
  EXPECT_EQ(CUDA_SUCCESS, launch_add(x, 1, 3, nullptr));  // one element too many
  EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&y, 4));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc_v2(&y, 4));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, launch_add(x, 1, 2, nullptr));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemFree_v2(x));
  const std::string json = reports();
  EXPECT_TRUE(mentions(json, "\"error\":700"));
  EXPECT_FALSE(nothing_found(json));
  EXPECT_TRUE(mentions(json, "cuMemAlloc = 700: since an earlier error: cuLaunchKernel (kernel add_to"));
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxReset_v2(0));
  EXPECT_EQ(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&context, 0));
  EXPECT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(context));
  load();
  const CUdeviceptr z = device_ints({1, 2});
  EXPECT_EQ(CUDA_SUCCESS, launch_add(z, 1, 2, nullptr));
  EXPECT_EQ((std::vector<int32_t>{2, 3}), read_ints(z, 2));
}

TEST_F(DriverKernelTest, MemoryFreedUnderAQueuedKernelIsReported) {
  const CUdeviceptr x = device_ints({1, 2});
  EXPECT_EQ(CUDA_SUCCESS, launch_add(x + 4, 1, 1, stream()));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(x));
  EXPECT_TRUE(mentions(reports(), "still to be used by cuLaunchKernel (kernel add_to"));
}

TEST_F(DriverKernelTest, AKernelOnFreedMemoryIsAnIllegalAddress) {
  const CUdeviceptr x = device_ints({1});
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(x));
  EXPECT_EQ(CUDA_SUCCESS, launch_add(x, 1, 1, nullptr));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(nullptr));
}

TEST_F(DriverKernelTest, AnotherDevicesMemoryIsReported) {
  open(0, 2);
  const CUdeviceptr x = device_ints({1});
  CUcontext other = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&other, 1));
  EXPECT_EQ(CUDA_SUCCESS, cuCtxSetCurrent(other));
  load();
  EXPECT_EQ(CUDA_SUCCESS, launch_add(x, 1, 1, nullptr));
  EXPECT_TRUE(mentions(reports(), "add_to: an argument points into the memory of device 0"));
}

TEST_F(DriverKernelTest, ImagesThatAreRefused) {
  CUmodule refused = nullptr;
  EXPECT_EQ(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&refused,
                                                           "\x7f"
                                                           "ELF and more"));
  EXPECT_EQ(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, cuModuleLoadData(&refused, ".version 9.9\n.target sm_80\n"));
  EXPECT_EQ(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&refused, ".version 9.0\n.target sm_90\n.address_size 64\n"));
  EXPECT_EQ(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&refused, "/nonexistent"));
  char log[256] = "";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof(log))};
  const char* wrong =
      ".version 9.0\n.target sm_80\n.address_size 64\n.visible .entry f()\n{\n\tfrobnicate.u32;\n\tret;\n}\n";
  EXPECT_EQ(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&refused, wrong, 2, options, values));
  EXPECT_TRUE(mentions(log, "PTX line 6")) << log;
  EXPECT_EQ(std::strlen(log) + 1, reinterpret_cast<size_t>(values[1]));
  EXPECT_TRUE(nothing_found(reports()));
}

TEST_F(DriverKernelTest, FunctionsAndVariablesByName) {
  CUfunction none = nullptr;
  CUdeviceptr address = 0;
  size_t bytes = 0;
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&none, module, "subtract"));
  EXPECT_EQ(CUDA_SUCCESS, cuModuleGetGlobal_v2(&address, &bytes, module, "answer"));
  EXPECT_EQ(4u, bytes);
  EXPECT_EQ(42, read_ints(address, 1)[0]);
  unsigned count = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuModuleGetFunctionCount(&count, module));
  EXPECT_EQ(2u, count);
  size_t offset = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetParamInfo(add_to, 2, &offset, &bytes));
  EXPECT_EQ(12u, offset);
  EXPECT_EQ(4u, bytes);
  EXPECT_EQ(CUDA_SUCCESS, cuModuleUnload(module));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, launch_add(address, 1, 1, nullptr));
}

TEST_F(DriverKernelTest, OccupancyFollowsFromTheLimits) {
  int blocks = 0, grid = 0, block = 0;
  const auto active = [&](int threads, size_t shared) {
    EXPECT_EQ(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add_to, threads, shared));
    return blocks;
  };
  EXPECT_EQ(2, active(1024, 0));
  EXPECT_EQ(32, active(32, 0));
  EXPECT_EQ(3, active(128, 50 * 1024));  // (50 + 1) KiB each of 164
  EXPECT_EQ(0, active(128, 164 * 1024));
  EXPECT_EQ(CUDA_SUCCESS, cuOccupancyMaxPotentialBlockSize(&grid, &block, add_to, nullptr, 0, 0));
  EXPECT_EQ(1024, block);
  EXPECT_EQ(2 * 108, grid);
}

}  // namespace
}  // namespace winnow::gpusim
