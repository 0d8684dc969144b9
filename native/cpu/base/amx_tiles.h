// AMX tile registers for the kernels of amx_bf16. Everything is local to the including file, which is compiled with flags
// of its own.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace winnow {

namespace {

constexpr int64_t kTileRows = 16, kTileDepth = 32;  // rows of a tile; elements of bf16 in one of them

// GCC 12 does not know that the tile instructions read and write memory: nothing may move across this.
inline void order_memory() { asm volatile("" ::: "memory"); }

// The eight tiles, 64 bytes per row, of one thread for as long as this lives.
class Tiles {
 public:
  // rows: of tile i, 1 to 16.
  template <typename Rows>
  explicit Tiles(const Rows& rows) {
    Shapes shapes;
    for (int i = 0; i < 8; ++i) {
      shapes.row_bytes[i] = 64;
      shapes.rows[i] = static_cast<uint8_t>(rows(i));
    }
    order_memory();
    _tile_loadconfig(&shapes);
  }
  Tiles(const Tiles&) = delete;
  ~Tiles() { _tile_release(); }

 private:
  // What ldtilecfg reads.
  struct alignas(64) Shapes {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  };
};

// Subnormal numbers count as zero, as for tdpbf16ps, for as long as this lives.
class FlushSubnormals {
 public:
  FlushSubnormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | kFlushToZero | kDenormalsAreZero); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  ~FlushSubnormals() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x40;
  const unsigned saved_;
};

}  // namespace

}  // namespace winnow
