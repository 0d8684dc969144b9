#include "base/entry.h"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <thread>

#include "base/cpu_context.h"
#include "operation_call.h"
#include "winnow.h"

namespace winnow {

namespace {

// What a kernel does.
struct Behaviour {
  void (*act)();
};

void plain(const Behaviour& behaviour, Cpu&) { behaviour.act(); }

Outcome refusing(const Behaviour& behaviour, Cpu&) {
  behaviour.act();
  return {WINNOW_REFUSED, 5};
}

Ended enter_plain(void (*act)()) {
  const Behaviour behaviour{act};
  const OwnedCpu cpu = open_cpu(1);
  int64_t detail = -77;
  const winnow_status status = enter<plain>(&behaviour, cpu.get(), &detail);
  return {status, detail};
}

}  // namespace

TEST(Entry, TurnsExceptionsIntoStatuses) {
  EXPECT_EQ(enter_plain([] {}), kDone);
  EXPECT_EQ(enter_plain([] { throw std::invalid_argument("the first"); }), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  EXPECT_STREQ(winnow_last_error(), "the first");
  EXPECT_EQ(enter_plain([] { throw std::out_of_range("the second"); }), (Ended{WINNOW_OUT_OF_RANGE, 0}));
  EXPECT_STREQ(winnow_last_error(), "the second");
  EXPECT_EQ(enter_plain([] { throw std::bad_alloc(); }), (Ended{WINNOW_OUT_OF_MEMORY, 0}));
  EXPECT_STREQ(winnow_last_error(), "out of memory");
  EXPECT_EQ(enter_plain([] { throw std::runtime_error("the fourth"); }), (Ended{WINNOW_FAILED, 0}));
  EXPECT_STREQ(winnow_last_error(), "the fourth");
  EXPECT_EQ(enter_plain([] { throw 5; }), (Ended{WINNOW_FAILED, 0}));
  EXPECT_STREQ(winnow_last_error(), "an exception of an unknown type");
}

TEST(Entry, CutsTheTextOfAnErrorThatIsTooLong) {
  EXPECT_EQ(enter_plain([] { throw std::runtime_error(std::string(5000, 'x')); }), (Ended{WINNOW_FAILED, 0}));
  EXPECT_EQ(winnow_last_error(), std::string(511, 'x'));
}

TEST(Entry, PassesTheOutcomeOn) {
  const OwnedCpu cpu = open_cpu(1);
  const Behaviour nothing{[] {}};
  int64_t detail = -77;
  EXPECT_EQ(enter<refusing>(&nothing, cpu.get(), &detail), WINNOW_REFUSED);
  EXPECT_EQ(detail, 5);
  EXPECT_EQ(enter<refusing>(&nothing, cpu.get(), nullptr), WINNOW_REFUSED);
}

TEST(Entry, KeepsTheTextOfEachThreadApart) {
  EXPECT_EQ(enter_plain([] { throw std::runtime_error("mine"); }).status, WINNOW_FAILED);
  std::thread([] {
    EXPECT_STREQ(winnow_last_error(), "");
    EXPECT_EQ(enter_plain([] { throw std::runtime_error("of another"); }).status, WINNOW_FAILED);
  }).join();
  EXPECT_STREQ(winnow_last_error(), "mine");
}

namespace {

template <typename Arguments>
void expect_nulls_refused(winnow_status (*operation)(const Arguments*, winnow_cpu*, int64_t*)) {
  const OwnedCpu cpu = open_cpu(1);
  EXPECT_EQ(operation(nullptr, cpu.get(), nullptr), WINNOW_INVALID_ARGUMENT);
  EXPECT_STREQ(winnow_last_error(), "arguments must not be null");
  const Arguments arguments{};
  EXPECT_EQ(operation(&arguments, nullptr, nullptr), WINNOW_INVALID_ARGUMENT);
  EXPECT_STREQ(winnow_last_error(), "cpu must not be null");
}

}  // namespace

TEST(Entry, RefusesNullOfEveryOperation) {
  expect_nulls_refused(winnow_add);
  expect_nulls_refused(winnow_attention);
  expect_nulls_refused(winnow_clamp);
  expect_nulls_refused(winnow_embedding);
  expect_nulls_refused(winnow_expert_plan);
  expect_nulls_refused(winnow_grouped_gemm);
  expect_nulls_refused(winnow_kv_append);
  expect_nulls_refused(winnow_layer_norm);
  expect_nulls_refused(winnow_moe_combine);
  expect_nulls_refused(winnow_multiplicative_layer);
  expect_nulls_refused(winnow_rms_norm);
  expect_nulls_refused(winnow_rope);
  expect_nulls_refused(winnow_sampler);
  expect_nulls_refused(winnow_strided_copy);
  expect_nulls_refused(winnow_top_k_router);
}

}  // namespace winnow
