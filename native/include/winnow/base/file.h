// Positional reads of files into memory of ours, past the page cache where the file system allows. java:
// org.winnow.memory.RangeReader.
#pragma once

#include <cstdint>

namespace winnow {

// Offsets, addresses and sizes of direct reads are multiples of this: no disk in use has larger blocks.
constexpr int64_t kDirectAlignmentBytes = 4096;

#ifndef WINNOW_BINDING  // the binding knows it by its address only
struct File;            // defined in native/cpu/base/file.cpp
#endif

// Opens for reading. path: zero-terminated bytes. With direct, O_DIRECT is asked for; where it is refused the file is
// read through the page cache, without the kernel's read-ahead. Throws std::system_error.
File* file_open(const void* path, bool direct);

// Whether reads go past the page cache; false also after the file system has refused a direct read.
bool file_is_direct(File* file);

// Reads size_bytes at offset_bytes to address, and returns how many there were: fewer only where the file ends. Safe
// from several threads at once, and whatever signals or interrupts arrive. With direct, all three must be multiples of
// kDirectAlignmentBytes. Throws std::system_error.
int64_t file_read(File* file, int64_t offset_bytes, void* address, int64_t size_bytes);

// No read may be running.
void file_close(File* file);

}  // namespace winnow
