// Capture and graphs without kernels: what is recorded, what spoils a capture, in which order graphs run.
#include <thread>

#include "driver_fixture.h"

namespace winnow::gpusim {
namespace {

class DriverCaptureTest : public DriverTest {
 protected:
  static void begin(CUstream stream, CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL) {
    EXPECT_EQ(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, mode));
  }

  static CUgraphExec end(CUstream stream, size_t num_nodes) {
    CUgraph graph = nullptr;
    CUgraphExec executable = nullptr;
    size_t found = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphGetNodes(graph, nullptr, &found));
    EXPECT_EQ(num_nodes, found);
    EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, graph, 0));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphDestroy(graph));
    return executable;
  }

  // The call must fail with the status and spoil a capture that goes on in a stream of its own.
  template <typename Call>
  void spoils(CUresult status, Call call, CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL) {
    const CUstream captured = stream(0);
    CUgraph graph = nullptr;
    CUstreamCaptureStatus state = CU_STREAM_CAPTURE_STATUS_NONE;
    begin(captured, mode);
    EXPECT_EQ(status, call(captured));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamIsCapturing(captured, &state));
    EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_INVALIDATED, state);
    EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(captured, &graph));
    EXPECT_EQ(nullptr, graph);
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(captured));
  }
};

TEST_F(DriverCaptureTest, ACaptureRunsNothingAndReplaysAll) {
  const CUdeviceptr x = device_ints({0}), y = device_ints({0});
  const CUstream one = stream();
  int32_t* in = pinned_ints(1);
  int32_t* out = pinned_ints(1);
  begin(one);
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(x, in, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(out, y, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 0, 1, one));
  const CUgraphExec executable = end(one, 4);
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ(0, read_ints(y, 1)[0]);
  for (const int32_t value : {3, 4, 5}) {
    *in = value;
    EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
    EXPECT_EQ(static_cast<int32_t>(0xA5A5A5A5), *out);
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
    EXPECT_EQ(value, *out);
  }
  EXPECT_TRUE(nothing_found(reports()));
  *in = 6;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
  *in = 7;
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_TRUE(mentions(reports(), "the pinned source was written before the copy had read it"));
}

TEST_F(DriverCaptureTest, ForkAndJoinBecomeEdges) {
  for (int seed = 0; seed < kNumSeeds; ++seed) {
    open(seed);
    const CUdeviceptr x = device_ints({0}), a = device_ints({0}), b = device_ints({0}), c = device_ints({0, 0});
    const CUstream one = stream(), two = stream();
    const CUevent fork = event(), join = event();
    begin(one);
    EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 8, 1, one));
    EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(fork, one));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(two, fork, 0));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(a, x, 4, one));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(b, x, 4, two));
    EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(join, two));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(one, join, 0));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(c, a, 4, one));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(c + 4, b, 4, one));
    EXPECT_EQ(CUDA_ERROR_CAPTURED_EVENT, [&] {
      const CUstream other = stream();  // of another capture, which this call spoils
      const CUevent inside = event();
      begin(other, CU_STREAM_CAPTURE_MODE_RELAXED);
      EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(inside, other));
      const CUresult status = cuEventSynchronize(inside);
      CUgraph none = nullptr;
      EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(other, &none));
      return status;
    }());
    CUgraph graph = nullptr;
    size_t num_edges = 0, num_roots = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuStreamEndCapture(one, &graph));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphGetEdges_v2(graph, nullptr, nullptr, nullptr, &num_edges));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphGetRootNodes(graph, nullptr, &num_roots));
    EXPECT_EQ(5u, num_edges);  // x-a, x-b, a-c, b-c, c-c
    EXPECT_EQ(1u, num_roots);
    CUgraphExec executable = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, graph, 0));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
    EXPECT_EQ((std::vector<int32_t>{8, 8}), read_ints(c, 2));
  }
}

TEST_F(DriverCaptureTest, AForkWithoutJoinIsRefused) {
  const CUdeviceptr x = device_ints({0});
  const CUstream one = stream(), two = stream();
  const CUevent fork = event();
  CUgraph graph = nullptr;
  begin(one);
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(fork, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(two, fork, 0));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 1, 1, two));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, [&] {
    CUgraph none = nullptr;
    return cuStreamEndCapture(two, &none);
  }());
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one, &graph));

  begin(one);
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(fork, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(two, fork, 0));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 1, 1, two));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(one, &graph));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(two));
  EXPECT_EQ(0, read_ints(x, 1)[0]);
}

TEST_F(DriverCaptureTest, CallsThatSpoilACapture) {
  const CUdeviceptr x = device_ints({0});
  const CUevent outside = event();
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(outside, stream()));
  int32_t pageable = 0;
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [](CUstream s) { return cuStreamSynchronize(s); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [](CUstream s) { return cuStreamQuery(s); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [](CUstream) { return cuCtxSynchronize(); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [](CUstream) {
    CUdeviceptr address = 0;
    return cuMemAlloc_v2(&address, 4);
  });
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&](CUstream) { return cuMemFree_v2(x); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&](CUstream) { return cuMemcpyDtoH_v2(&pageable, x, 4); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&](CUstream s) { return cuMemcpyHtoDAsync_v2(x, &pageable, 4, s); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, [&](CUstream s) { return cuStreamWaitEvent(s, outside, 0); });
  spoils(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, [&](CUstream) { return cuMemsetD32Async(x, 1, 1, nullptr); });
}

TEST_F(DriverCaptureTest, ARelaxedCaptureAllowsAllocation) {
  const CUstream one = stream();
  CUdeviceptr x = 0;
  begin(one, CU_STREAM_CAPTURE_MODE_RELAXED);
  EXPECT_EQ(CUDA_SUCCESS, cuMemAlloc_v2(&x, 4));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 3, 1, one));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(end(one, 1), one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ(3, read_ints(x, 1)[0]);
}

TEST_F(DriverCaptureTest, OtherThreadsAreBoundByTheMode) {
  const auto allocate_elsewhere = [&](CUstreamCaptureMode mode) {
    const CUstream one = stream();
    CUresult status = CUDA_ERROR_UNKNOWN, ended = CUDA_ERROR_UNKNOWN;
    CUgraph graph = nullptr;
    begin(one, mode);
    std::thread([&] {
      CUdeviceptr x = 0;
      cuCtxSetCurrent(context);
      status = cuMemAlloc_v2(&x, 4);
      ended = cuStreamEndCapture(one, &graph);
    }).join();
    if (mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
      EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, ended);
      cuStreamEndCapture(one, &graph);
    }
    return status;
  };
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, allocate_elsewhere(CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_EQ(CUDA_SUCCESS, allocate_elsewhere(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  EXPECT_EQ(CUDA_SUCCESS, allocate_elsewhere(CU_STREAM_CAPTURE_MODE_RELAXED));
}

TEST_F(DriverCaptureTest, CaptureInfoNamesTheGraphAndTheLastNode) {
  const CUdeviceptr x = device_ints({0});
  const CUstream one = stream();
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  CUgraph graph = nullptr, ended = nullptr;
  const CUgraphNode* last = nullptr;
  size_t num_last = 0;
  EXPECT_EQ(CUDA_SUCCESS, cuStreamGetCaptureInfo_v3(one, &status, nullptr, &graph, nullptr, nullptr, nullptr));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_NONE, status);
  begin(one);
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_STATE, cuStreamBeginCapture_v2(one, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 3, 1, one));
  EXPECT_EQ(CUDA_SUCCESS, cuStreamGetCaptureInfo_v3(one, &status, nullptr, &graph, &last, nullptr, &num_last));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_ACTIVE, status);
  ASSERT_EQ(1u, num_last);
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphNodeGetType(last[0], &type));
  EXPECT_EQ(CU_GRAPH_NODE_TYPE_MEMSET, type);
  EXPECT_EQ(CUDA_SUCCESS, cuStreamEndCapture(one, &ended));
  EXPECT_EQ(graph, ended);
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL));
}

// Two launches of one graph in two streams do not overlap, and each comes after what its stream had.
TEST_F(DriverCaptureTest, LaunchesOfOneGraphFollowEachOther) {
  for (int seed = 0; seed < kNumSeeds; ++seed) {
    open(seed);
    const CUdeviceptr x = device_ints({0}), y = device_ints({0}), z = device_ints({0});
    const CUstream one = stream(), two = stream();
    begin(one);
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(z, y, 4, one));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 4, one));
    const CUgraphExec executable = end(one, 2);
    EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 5, 1, one));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, one));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, two));
    EXPECT_EQ(CUDA_SUCCESS, cuGraphExecDestroy(executable));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(two));
    EXPECT_EQ(5, read_ints(z, 1)[0]);
  }
}

TEST_F(DriverCaptureTest, GraphsAreBuiltByHandAndUpdated) {
  const CUdeviceptr x = device_ints({0}), y = device_ints({0});
  const auto build = [&](unsigned value, bool copy_too) {
    CUgraph graph = nullptr;
    CUgraphNode fill = nullptr, copy = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuGraphCreate(&graph, 0));
    const CUDA_MEMSET_NODE_PARAMS fill_parameters{x, 0, value, 4, 1, 1};
    EXPECT_EQ(CUDA_SUCCESS, cuGraphAddMemsetNode(&fill, graph, nullptr, 0, &fill_parameters, context));
    CUDA_MEMCPY3D copy_parameters{};
    copy_parameters.srcMemoryType = copy_parameters.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy_parameters.srcDevice = x;
    copy_parameters.dstDevice = y;
    copy_parameters.WidthInBytes = 4;
    copy_parameters.Height = copy_parameters.Depth = 1;
    if (copy_too) {
      EXPECT_EQ(CUDA_SUCCESS, cuGraphAddMemcpyNode(&copy, graph, &fill, 1, &copy_parameters, context));
    }
    return graph;
  };
  CUgraphExec executable = nullptr;
  CUgraphExecUpdateResultInfo result{};
  EXPECT_EQ(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&executable, build(1, true), 0));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, nullptr));
  EXPECT_EQ(1, read_ints(y, 1)[0]);
  EXPECT_EQ(CUDA_SUCCESS, cuGraphExecUpdate_v2(executable, build(2, true), &result));
  EXPECT_EQ(CUDA_SUCCESS, cuGraphLaunch(executable, nullptr));
  EXPECT_EQ(2, read_ints(y, 1)[0]);
  EXPECT_EQ(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate_v2(executable, build(3, false), &result));
  EXPECT_EQ(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, result.result);
}

}  // namespace
}  // namespace winnow::gpusim
