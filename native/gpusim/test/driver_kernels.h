// Kernels of the driver's tests, and their launch.
#pragma once

#include "driver_fixture.h"

namespace winnow::gpusim {

// add_to(x, value, n): x[i] += value. use_shared(out, bytes): out[0] = 42 by way of the last word of `bytes` of dynamic
// shared memory.
constexpr const char* kTestPtx = R"(
.version 9.0
.target sm_80
.address_size 64

.visible .global .align 4 .u32 answer = 42;
.extern .shared .align 16 .b8 buffer[];

.visible .entry add_to(
	.param .u64 add_to_param_0,
	.param .u32 add_to_param_1,
	.param .u32 add_to_param_2
)
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<9>;
	.reg .b64 	%rd<5>;

	ld.param.u64 	%rd1, [add_to_param_0];
	ld.param.u32 	%r1, [add_to_param_1];
	ld.param.u32 	%r2, [add_to_param_2];
	mov.u32 	%r3, %ctaid.x;
	mov.u32 	%r4, %ntid.x;
	mov.u32 	%r5, %tid.x;
	mad.lo.s32 	%r6, %r3, %r4, %r5;
	setp.ge.s32 	%p1, %r6, %r2;
	@%p1 bra 	$L__BB0_2;

	cvta.to.global.u64 	%rd2, %rd1;
	mul.wide.s32 	%rd3, %r6, 4;
	add.s64 	%rd4, %rd2, %rd3;
	ld.global.u32 	%r7, [%rd4];
	add.s32 	%r8, %r7, %r1;
	st.global.u32 	[%rd4], %r8;

$L__BB0_2:
	ret;
}

.visible .entry use_shared(
	.param .u64 use_shared_param_0,
	.param .u32 use_shared_param_1
)
.maxntid 64, 1, 1
{
	.reg .b32 	%r<6>;
	.reg .b64 	%rd<3>;

	ld.param.u64 	%rd1, [use_shared_param_0];
	ld.param.u32 	%r1, [use_shared_param_1];
	cvta.to.global.u64 	%rd2, %rd1;
	mov.u32 	%r2, buffer;
	add.s32 	%r3, %r2, %r1;
	mov.u32 	%r4, 42;
	st.shared.u32 	[%r3+-4], %r4;
	ld.shared.u32 	%r5, [%r3+-4];
	st.global.u32 	[%rd2], %r5;
	ret;
}
)";

class KernelTest : public DriverTest {
 protected:
  void load() {
    ASSERT_EQ(CUDA_SUCCESS, cuModuleLoadData(&module, kTestPtx));
    ASSERT_EQ(CUDA_SUCCESS, cuModuleGetFunction(&add_to, module, "add_to"));
    ASSERT_EQ(CUDA_SUCCESS, cuModuleGetFunction(&use_shared, module, "use_shared"));
  }

  CUresult launch_add(CUdeviceptr x, int value, int n, CUstream stream, int num_threads = 32) const {
    void* arguments[] = {&x, &value, &n};
    return cuLaunchKernel(add_to, (n + num_threads - 1) / num_threads, 1, 1, num_threads, 1, 1, 0, stream, arguments,
                          nullptr);
  }

  CUresult launch_shared(CUdeviceptr out, unsigned bytes, unsigned num_threads = 1) const {
    void* arguments[] = {&out, &bytes};
    return cuLaunchKernel(use_shared, 1, 1, 1, num_threads, 1, 1, bytes, nullptr, arguments, nullptr);
  }

  CUmodule module = nullptr;
  CUfunction add_to = nullptr, use_shared = nullptr;
};

}  // namespace winnow::gpusim
