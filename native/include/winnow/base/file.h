// Positional reads of files, which bypass the page cache if the file system supports that. java:
// org.winnow.memory.RangeReader.
#pragma once

#include <cstdint>

namespace winnow {

// Offsets, addresses and sizes of direct reads must be multiples of this. Disks use blocks of this size or smaller.
constexpr int64_t kDirectAlignmentBytes = 4096;

#ifndef WINNOW_BINDING  // the binding uses only its address
struct File;            // defined in native/cpu/base/file.cpp
#endif

// Opens a file for reading. path: zero-terminated bytes. With direct, reads use O_DIRECT. If the file system refuses
// that, they use the page cache without the kernel's read-ahead. Throws std::system_error.
File* file_open(const void* path, bool direct);

// Whether reads bypass the page cache. False once the file system has refused a direct read.
bool file_is_direct(File* file);

// Reads size_bytes at offset_bytes to address and returns the number of bytes read, which is smaller only at the end of
// the file. Continues after signals and after reads that stop early, as network file systems may. Safe for several
// threads at once. With direct, all three numbers must be multiples of kDirectAlignmentBytes. Throws std::system_error.
int64_t file_read(File* file, int64_t offset_bytes, void* address, int64_t size_bytes);

// Checks that a regular file still has the size and the time of modification that it had when it was opened. Called after
// a read, this shows that the bytes read are those of one version of the file. Throws std::runtime_error with both.
void file_require_unchanged(File* file);

// Closes the file. No read may be running.
void file_close(File* file);

}  // namespace winnow
