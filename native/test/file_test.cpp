#include "winnow/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "winnow/base/memory.h"

namespace {

int64_t most_bytes = INT64_MAX;  // that a read returns
int interrupted_every = 0;       // how many reads; 0 for never
int num_reads = 0;

}  // namespace

// Takes the place of the C library's, which the library under test calls. It reads as a network file system may.
extern "C" ssize_t pread(int descriptor, void* buffer, size_t size, off_t offset) {
  if (interrupted_every > 0 && ++num_reads % interrupted_every == 0) {
    errno = EINTR;
    return -1;
  }
  ssize_t count = syscall(SYS_pread64, descriptor, buffer, size, offset);
  return std::min<int64_t>(count, most_bytes);
}

namespace winnow {

namespace {

constexpr int64_t kFileBytes = 3 * kDirectAlignmentBytes + 100;

unsigned char expected_byte(int64_t offset) { return static_cast<unsigned char>(offset * 7 + offset / 4096); }

class FileTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    descriptor_ = mkstemp(path_.data());
    ASSERT_GE(descriptor_, 0);
    std::vector<unsigned char> bytes(kFileBytes);
    for (int64_t i = 0; i < kFileBytes; ++i) bytes[i] = expected_byte(i);
    ASSERT_EQ(write(descriptor_, bytes.data(), bytes.size()), kFileBytes);
    ASSERT_EQ(fsync(descriptor_), 0);
  }
  void TearDown() override {
    close(descriptor_);
    unlink(path_.c_str());
  }

  std::string path_ = "file_test_XXXXXX";  // in the build folder: /tmp may lie in memory, without direct reads
  int descriptor_ = -1;
};

TEST_P(FileTest, ReadsRangesAndSaysWhereTheFileEnds) {
  File* file = file_open(path_.c_str(), GetParam());
  int64_t capacity = 8 * kDirectAlignmentBytes;
  auto* memory = static_cast<unsigned char*>(memory_allocate(int64_t{4} << 20));
  std::memset(memory, 0xee, capacity);
  EXPECT_EQ(file_read(file, 4096, memory, 4096), 4096);
  for (int64_t i = 0; i < 4096; ++i) ASSERT_EQ(memory[i], expected_byte(4096 + i));
  EXPECT_EQ(memory[4096], 0xee);
  EXPECT_EQ(file_read(file, 8192, memory, 4 * 4096), kFileBytes - 8192);
  for (int64_t i = 8192; i < kFileBytes; ++i) ASSERT_EQ(memory[i - 8192], expected_byte(i));
  EXPECT_EQ(file_read(file, 16 * 4096, memory, 4096), 0);
  EXPECT_EQ(ftruncate(descriptor_, 4096), 0);
  EXPECT_EQ(file_read(file, 0, memory, 2 * 4096), 4096);
  memory_free(memory, int64_t{4} << 20);
  file_close(file);
}

TEST_P(FileTest, AShortReadIsNotTheEnd) {
  auto* memory = static_cast<unsigned char*>(memory_allocate(int64_t{4} << 20));
  interrupted_every = 2;
  for (int64_t most : {1, 3, 4095, 4096, 5000, 9000}) {
    most_bytes = most;
    File* file = file_open(path_.c_str(), GetParam());
    std::memset(memory, 0, 4 * 4096);
    EXPECT_EQ(file_read(file, 4096, memory, 4 * 4096), kFileBytes - 4096);
    for (int64_t i = 4096; i < kFileBytes; ++i) ASSERT_EQ(memory[i - 4096], expected_byte(i)) << most;
    EXPECT_EQ(file_read(file, 4 * 4096, memory, 4096), 0);
    file_close(file);
  }
  most_bytes = INT64_MAX;
  interrupted_every = 0;
  memory_free(memory, int64_t{4} << 20);
}

TEST_P(FileTest, NoticesThatAFileHasChanged) {
  File* file = file_open(path_.c_str(), GetParam());
  file_require_unchanged(file);
  struct timespec times[] = {{1, 0}, {1000000000, 5}};
  ASSERT_EQ(futimens(descriptor_, times), 0);
  EXPECT_THROW(file_require_unchanged(file), std::runtime_error);
  file_close(file);
  file = file_open(path_.c_str(), GetParam());
  file_require_unchanged(file);
  ASSERT_EQ(ftruncate(descriptor_, 10), 0);
  ASSERT_EQ(futimens(descriptor_, times), 0);
  try {
    file_require_unchanged(file);
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(),
                 "a file that has changed since it was opened: it had 12388 bytes modified "
                 "2001-09-09T01:46:40.000000005Z, it has 10 bytes modified 2001-09-09T01:46:40.000000005Z");
  }
  file_close(file);
}

TEST_P(FileTest, RefusesWhatIsNotThere) { EXPECT_THROW(file_open("/nonexistent/file", GetParam()), std::system_error); }

TEST_P(FileTest, RefusesADirectory) {
  try {
    File* file = file_open("/", GetParam());
    unsigned char byte;
    EXPECT_THROW(file_read(file, 0, &byte, 1), std::system_error);
    file_close(file);
  } catch (const std::system_error&) {  // some file systems refuse at once
  }
}

INSTANTIATE_TEST_SUITE_P(DirectAndBuffered, FileTest, testing::Bool());

TEST_F(FileTest, FallsBackToBufferedWhereADirectReadIsRefused) {
  File* file = file_open(path_.c_str(), true);
  unsigned char bytes[10];
  EXPECT_EQ(file_read(file, 3, bytes + 1, 5), 5);  // unaligned: a direct descriptor refuses it
  for (int i = 0; i < 5; ++i) EXPECT_EQ(bytes[1 + i], expected_byte(3 + i));
  EXPECT_FALSE(file_is_direct(file));
  file_close(file);
}

}  // namespace

}  // namespace winnow
