#include "winnow/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string>
#include <system_error>

namespace winnow {

struct File {
  int descriptor;
  struct stat opened;        // the state when it was opened
  std::atomic<bool> direct;  // relaxed: carries no data, every value is safe to act on
};

namespace {

[[noreturn]] void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

// Without O_DIRECT, the descriptor reads at any alignment, so several threads may do this at the same time.
void make_buffered(File* file) {
  int flags = fcntl(file->descriptor, F_GETFL);
  if (flags < 0 || fcntl(file->descriptor, F_SETFL, flags & ~O_DIRECT) < 0) fail("fcntl");
  posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_RANDOM);
  file->direct.store(false, std::memory_order_relaxed);
}

struct stat state_of(int descriptor) {
  struct stat state;
  if (fstat(descriptor, &state) < 0) fail("fstat");
  return state;
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// "5000 bytes modified 2026-01-31T12:00:00.000000001Z"
std::string describe(const struct stat& state) {
  char day[32], text[96];
  struct tm time;
  gmtime_r(&state.st_mtim.tv_sec, &time);
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &time);
  std::snprintf(text, sizeof text, "%lld bytes modified %s.%09ldZ", static_cast<long long>(state.st_size), day,
                state.st_mtim.tv_nsec);
  return text;
}

// Whether a direct read that stopped inside a block stopped at the end of the file. It cannot continue there, and a
// file system may stop early anywhere.
bool ends_at(File* file, int64_t offset_bytes) { return offset_bytes >= state_of(file->descriptor).st_size; }

}  // namespace

File* file_open(const void* path, bool direct) {
  const char* name = static_cast<const char*>(path);
  int descriptor = open(name, O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
  if (descriptor < 0 && direct && errno == EINVAL) {
    direct = false;
    descriptor = open(name, O_RDONLY | O_CLOEXEC);
  }
  if (descriptor < 0) fail("open");
  if (!direct) posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM);  // a hint
  try {
    return new File{descriptor, state_of(descriptor), {direct}};
  } catch (...) {
    close(descriptor);
    throw;
  }
}

bool file_is_direct(File* file) { return file->direct.load(std::memory_order_relaxed); }

int64_t file_read(File* file, int64_t offset_bytes, void* address, int64_t size_bytes) {
  int64_t done = 0;
  while (done < size_bytes) {
    ssize_t count = pread(file->descriptor, static_cast<char*>(address) + done, size_bytes - done, offset_bytes + done);
    if (count > 0) {
      done += count;
      if (done % kDirectAlignmentBytes == 0 || !file->direct.load(std::memory_order_relaxed)) continue;
      if (ends_at(file, offset_bytes + done)) return done;
      make_buffered(file);  // this file system's direct reads cannot be continued
    } else if (count == 0) {
      return done;
    } else if (errno == EINVAL && file->direct.load(std::memory_order_relaxed)) {
      make_buffered(file);
    } else if (errno != EINTR) {
      fail("pread");
    }
  }
  return done;
}

void file_require_unchanged(File* file) {
  struct stat now = state_of(file->descriptor);
  if (!S_ISREG(now.st_mode) || is_same(file->opened, now)) return;
  throw std::runtime_error("a file that has changed since it was opened: it had " + describe(file->opened) +
                           ", it has " + describe(now));
}

void file_close(File* file) {
  close(file->descriptor);
  delete file;
}

}  // namespace winnow
