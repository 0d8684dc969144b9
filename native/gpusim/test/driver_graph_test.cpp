// Kernels in graphs: captured, read back, changed.
#include "driver_kernels.h"

namespace winnow::gpusim {
namespace {

class DriverGraphTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    load();
  }

  // A graph of one launch, captured.
  CUgraph capture_add(CUdeviceptr x, int value, int n, CUstream one) const {
    CUgraph graph = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuStreamBeginCapture_v2(one, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_EQ(CUDA_SUCCESS, launch_add(x, value, n, one));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamEndCapture(one, &graph));
    return graph;
  }
};

TEST_F(DriverGraphTest, ReplaysALaunchWithTheArgumentsOfItsCapture) {
  const CUdeviceptr x = device_ints({0, 0});
  const CUstream one = stream();
  CUgraphExec executable = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, capture_add(x, 3, 2, one), 0));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ((std::vector<int32_t>{12, 12}), read_ints(x, 2));
}

TEST_F(DriverGraphTest, ANodesParametersAreReadAndChanged) {
  const CUdeviceptr x = device_ints({0, 0});
  const CUstream one = stream();
  const CUgraph graph = capture_add(x, 3, 2, one);
  CUgraphNode node = nullptr;
  size_t count = 1;
  CUDA_KERNEL_NODE_PARAMS parameters{};
  CUgraphExec executable = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphGetNodes(graph, &node, &count));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphKernelNodeGetParams_v2(node, &parameters));
  EXPECT_EQ(add_to, parameters.func);
  EXPECT_EQ(32u, parameters.blockDimX);
  EXPECT_EQ(3, *static_cast<int32_t*>(parameters.kernelParams[1]));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, graph, 0));

  int32_t value = 50;
  void* changed[] = {parameters.kernelParams[0], &value, parameters.kernelParams[2]};
  parameters.kernelParams = changed;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphExecKernelNodeSetParams_v2(executable, node, &parameters));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ((std::vector<int32_t>{50, 50}), read_ints(x, 2));

  value = 500;  // the graph itself: seen by what is made from it
  EXPECT_EQ(CUDA_SUCCESS, cuGraphKernelNodeSetParams_v2(node, &parameters));
  CUgraphExecUpdateResultInfo result{};
  EXPECT_EQ(CUDA_SUCCESS, cuGraphExecUpdate_v2(executable, graph, &result));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ((std::vector<int32_t>{550, 550}), read_ints(x, 2));
}

TEST_F(DriverGraphTest, AReplayOnFreedMemoryIsAnIllegalAddress) {
  const CUdeviceptr x = device_ints({0});
  const CUstream one = stream();
  CUgraphExec executable = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, capture_add(x, 3, 1, one), 0));
  EXPECT_EQ(CUDA_SUCCESS, cuMemFree_v2(x));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(one));
}

TEST_F(DriverGraphTest, AReplayOfAnUnloadedModuleIsReported) {
  const CUdeviceptr x = device_ints({0});
  const CUstream one = stream();
  CUgraphExec executable = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, capture_add(x, 3, 1, one), 0));
  EXPECT_EQ(CUDA_SUCCESS, cuModuleUnload(module));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
  EXPECT_EQ(CUDA_ERROR_LAUNCH_FAILED, cuStreamSynchronize(one));
  EXPECT_TRUE(mentions(reports(), "its module has been unloaded"));
}

}  // namespace
}  // namespace winnow::gpusim
