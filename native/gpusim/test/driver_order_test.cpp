// Streams and events execute late and in many orders. Ordered programs give right results with every seed, unordered
// ones give wrong results with some.
#include "driver_fixture.h"

namespace winnow::gpusim {
namespace {

class DriverOrderTest : public DriverTest {
 protected:
  // With how many seeds the program's answer is the right one.
  int num_right(const std::function<bool()>& program) {
    int right = 0;
    for (int seed = 0; seed < kNumSeeds; ++seed) {
      open(seed);
      right += program();
    }
    return right;
  }

  // A producer fills x in one stream, a consumer copies it in another, with or without an event between them.
  bool producer_and_consumer(bool wait, unsigned flags) {
    const CUdeviceptr x = device_ints({1, 1}), y = device_ints({2, 2});
    const CUstream producer = stream(flags), consumer = stream(flags);
    const CUevent ready = event(CU_EVENT_DISABLE_TIMING);
    EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 7, 2, producer));
    EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(ready, producer));
    if (wait) {
      EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(consumer, ready, 0));
    }
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 8, consumer));
    EXPECT_EQ(CUDA_SUCCESS, cuCtxSynchronize());
    return read_ints(y, 2) == std::vector<int32_t>{7, 7};
  }
};

TEST_F(DriverOrderTest, AStreamKeepsItsOrder) {
  EXPECT_EQ(kNumSeeds, num_right([&] {
              const CUdeviceptr x = device_ints({0});
              const CUstream one = stream(), other = stream();
              for (int value = 1; value <= 20; ++value) {
                EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, value, 1, one));
                EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(device_ints({0}), value, 1, other));
              }
              EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
              return read_ints(x, 1)[0] == 20;
            }));
}

TEST_F(DriverOrderTest, AnEventOrdersTwoStreams) {
  EXPECT_EQ(kNumSeeds, num_right([&] { return producer_and_consumer(true, CU_STREAM_NON_BLOCKING); }));
}

TEST_F(DriverOrderTest, AMissingWaitIsWrongWithSomeSeedAndRightWithAnother) {
  const int right = num_right([&] { return producer_and_consumer(false, CU_STREAM_NON_BLOCKING); });
  EXPECT_LT(right, kNumSeeds);
  EXPECT_GT(right, 0);
}

// The consumer alone is waited for: nothing makes the device start on the producer.
TEST_F(DriverOrderTest, WorkThatNobodyWaitsForIsLate) {
  const int right = num_right([&] {
    const CUdeviceptr x = device_ints({1}), y = device_ints({2});
    const CUstream producer = stream(), consumer = stream();
    EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 7, 1, producer));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 4, consumer));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(consumer));
    return read_ints(y, 1)[0] == 7;
  });
  EXPECT_LT(right, kNumSeeds / 2);
}

// A buffer that is overwritten while another stream still has to read it.
TEST_F(DriverOrderTest, AMissingWaitBeforeReuseIsWrongWithSomeSeed) {
  const int right = num_right([&] {
    const CUdeviceptr slot = device_ints({0}), first = device_ints({0});
    const CUstream copies = stream(), compute = stream();
    const CUevent copied = event();
    EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(slot, 1, 1, copies));
    EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(copied, copies));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(compute, copied, 0));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(first, slot, 4, compute));
    EXPECT_EQ(CUDA_SUCCESS,
              cuMemsetD32Async(slot, 2, 1, copies));  // compute has not said that it is done with the slot
    EXPECT_EQ(CUDA_SUCCESS, cuCtxSynchronize());
    return read_ints(first, 1)[0] == 1;
  });
  EXPECT_LT(right, kNumSeeds);
  EXPECT_GT(right, 0);
}

TEST_F(DriverOrderTest, AWaitTakesTheRecordOfItsTime) {
  EXPECT_EQ(kNumSeeds, num_right([&] {
              const CUdeviceptr x = device_ints({0}), y = device_ints({0});
              const CUstream one = stream(), two = stream(), three = stream();
              const CUevent reused = event();
              EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 5, 1, one));
              EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(reused, one));
              EXPECT_EQ(CUDA_SUCCESS, cuStreamWaitEvent(two, reused, 0));
              EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(reused, three));  // does not change what stream two waits for
              EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 4, two));
              EXPECT_EQ(CUDA_SUCCESS, cuEventDestroy_v2(reused));
              EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(two));
              return read_ints(y, 1)[0] == 5;
            }));
}

TEST_F(DriverOrderTest, TheLegacyStreamOrdersBlockingStreamsOnly) {
  const auto through_legacy = [&](unsigned flags) {
    const CUdeviceptr x = device_ints({0}), y = device_ints({0}), z = device_ints({0});
    const CUstream before = stream(flags), after = stream(flags);
    EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 3, 1, before));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 4, nullptr));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(z, y, 4, after));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamDestroy_v2(before));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(after));
    return read_ints(z, 1)[0] == 3;
  };
  EXPECT_EQ(kNumSeeds, num_right([&] { return through_legacy(0); }));
  EXPECT_LT(num_right([&] { return through_legacy(CU_STREAM_NON_BLOCKING); }), kNumSeeds);
}

TEST_F(DriverOrderTest, ASynchronousCopyFromPageableMemoryReachesOtherStreamsLater) {
  const int right = num_right([&] {
    const CUdeviceptr x = device_ints({0}), y = device_ints({0});
    const int32_t value = 9;
    const CUstream other = stream();
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyHtoD_v2(x, &value, 4));
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoDAsync_v2(y, x, 4, other));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(other));
    return read_ints(y, 1)[0] == 9;
  });
  EXPECT_LT(right, kNumSeeds);
}

TEST_F(DriverOrderTest, QueriesEndAndTellTheTruth) {
  for (int seed = 0; seed < kNumSeeds; ++seed) {
    open(seed);
    const CUdeviceptr x = device_ints({0});
    const CUstream one = stream();
    const CUevent reached = event();
    EXPECT_EQ(CUDA_SUCCESS, cuEventQuery(reached));  // never recorded
    for (int value = 1; value <= 5; ++value) EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, value, 1, one));
    EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(reached, one));
    int num_not_ready = 0;
    CUresult status;
    while ((status = cuEventQuery(reached)) == CUDA_ERROR_NOT_READY && num_not_ready < 1000) ++num_not_ready;
    EXPECT_EQ(CUDA_SUCCESS, status);
    EXPECT_GT(num_not_ready, 0);
    EXPECT_EQ(CUDA_SUCCESS, cuStreamQuery(one));
    EXPECT_EQ(5, read_ints(x, 1)[0]);
  }
}

TEST_F(DriverOrderTest, ElapsedTimeNeedsBothEventsReached) {
  const CUstream one = stream();
  const CUevent start = event(), end = event(), untimed = event(CU_EVENT_DISABLE_TIMING);
  float milliseconds = -1;
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime_v2(&milliseconds, start, end));
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(start, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD8Async(device_ints({0}), 1, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(end, one));
  EXPECT_EQ(CUDA_SUCCESS, cuEventRecord(untimed, one));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuEventElapsedTime_v2(&milliseconds, start, end));
  EXPECT_EQ(CUDA_SUCCESS, cuEventSynchronize(end));
  EXPECT_EQ(CUDA_SUCCESS, cuEventElapsedTime_v2(&milliseconds, start, end));
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime_v2(&milliseconds, start, untimed));
}

TEST_F(DriverOrderTest, HostFunctionsRunInOrderAndMustNotUseTheDriver) {
  struct Seen {
    int32_t* copied;
    int32_t value;
    CUresult status;
  } seen{pinned_ints(1), 0, CUDA_SUCCESS};
  const CUdeviceptr x = device_ints({0});
  const CUstream one = stream();
  EXPECT_EQ(CUDA_SUCCESS, cuMemsetD32Async(x, 6, 1, one));
  EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(seen.copied, x, 4, one));
  EXPECT_EQ(CUDA_SUCCESS, cuLaunchHostFunc(
                              one,
                              [](void* data) {
                                auto* s = static_cast<Seen*>(data);
                                s->value = *s->copied;
                                s->status = cuCtxSynchronize();
                              },
                              &seen));
  EXPECT_EQ(0, seen.value);
  EXPECT_EQ(CUDA_SUCCESS, cuStreamSynchronize(one));
  EXPECT_EQ(6, seen.value);
  EXPECT_EQ(CUDA_ERROR_NOT_PERMITTED, seen.status);
  EXPECT_TRUE(mentions(reports(), "called from a host function"));
}

TEST_F(DriverOrderTest, HandlesThatAreGoneAreRefused) {
  const CUstream one = stream();
  const CUevent once = event();
  EXPECT_EQ(CUDA_SUCCESS, cuStreamDestroy_v2(one));
  EXPECT_EQ(CUDA_SUCCESS, cuEventDestroy_v2(once));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy_v2(one));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(one));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(once, nullptr));
  EXPECT_TRUE(mentions(reports(), "cuStreamSynchronize = 400: no such stream"));
}

}  // namespace
}  // namespace winnow::gpusim
