#include "winnow/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace winnow {

struct File {
  int descriptor;
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
  return new File{descriptor, {direct}};
}

bool file_is_direct(File* file) { return file->direct.load(std::memory_order_relaxed); }

int64_t file_read(File* file, int64_t offset_bytes, void* address, int64_t size_bytes) {
  int64_t done = 0;
  while (done < size_bytes) {
    ssize_t count = pread(file->descriptor, static_cast<char*>(address) + done, size_bytes - done, offset_bytes + done);
    if (count > 0) {
      done += count;
      // A direct read stops inside a block only at the end of the file. Continuing there would fail as unaligned.
      if (done % kDirectAlignmentBytes != 0 && file->direct.load(std::memory_order_relaxed)) return done;
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

void file_close(File* file) {
  close(file->descriptor);
  delete file;
}

}  // namespace winnow
